"""Effect sizes and permutation p by hand, against enumeration, and under a true null."""

import itertools
import json

import numpy as np
import pytest

from lmcore.errors import EmptyEvaluationError, UserError
from lmcore.evaluation.bias import weat as module
from lmcore.evaluation.bias.weat import association, permutation_p, read_word_lists

EAST, NORTH = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def test_effect_by_hand_divides_with_one_degree_less():
    # Associations: +1, +1, -1, -1. Means differ by 2; variance with ddof=1 is 4/3.
    found = association(
        np.stack([EAST, 2 * EAST]), np.stack([NORTH, NORTH]), EAST[None], NORTH[None]
    )
    assert found["d"] == pytest.approx(2 / np.sqrt(4 / 3))
    # One of the six ways to deal four words reaches the observed difference.
    assert found["p"] == pytest.approx(1 / 6)
    assert found["exact"]


def test_exact_p_is_that_of_enumeration():
    values = np.random.default_rng(0).normal(size=9)
    observed = values[:4].sum()
    sums = [sum(values[list(deal)]) for deal in itertools.combinations(range(9), 4)]
    assert permutation_p(values, 4)[0] == pytest.approx(np.mean(np.array(sums) >= observed - 1e-9))


def test_random_deals_agree_with_the_exact_p_and_have_a_seed(monkeypatch):
    values = np.random.default_rng(1).normal(size=12)
    exact, _ = permutation_p(values, 6)
    monkeypatch.setattr(module, "MAX_EXACT", 10)
    monkeypatch.setattr(module, "PERMUTATIONS", 20_000)
    drawn, is_exact = permutation_p(values, 6, seed=3)
    assert not is_exact
    assert drawn == permutation_p(values, 6, seed=3)[0]
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000))
    # A deal keeps all words, so one that is larger than all others never does better.
    assert permutation_p(np.array([9.0] * 6 + [0.0] * 6), 6)[0] < 0.01


def test_under_a_true_null_p_is_no_smaller_than_it_may_be():
    rng = np.random.default_rng(2)
    ps = [permutation_p(rng.normal(size=8), 4)[0] for _ in range(600)]
    # 5 % of 600 is 30; three standard deviations more are 46. (With replacement: over 6 %.)
    assert np.sum(np.array(ps) <= 0.05) <= 46


def test_targets_that_lie_alike_raise():
    with pytest.raises(EmptyEvaluationError):
        association(np.stack([EAST] * 2), np.stack([EAST] * 2), EAST[None], NORTH[None])


def lists(words, **more):
    return {"name": "some", "words": words, **more}


def test_lists_are_read_and_words_left_out(tmp_path):
    test = {
        "first_target": lists(["a", "b", "c"], remove=["b"]),
        "second_target": lists(["d", "e"]),
        "first_attribute": lists(["f", "g"]),
        "second_attribute": lists(["h", "i"]),
    }
    path = tmp_path / "weat.json"
    path.write_text(json.dumps([test]))
    (found,) = read_word_lists(path)
    assert found.words[0] == ("a", "c")
    for broken in ([], {}, [{}], [{**test, "first_target": lists(["a"])}], "x"):
        path.write_text(json.dumps(broken))
        with pytest.raises(UserError, match=r"weat\.json is not a file of word lists"):
            read_word_lists(path)
    with pytest.raises(UserError, match="gone"):
        read_word_lists(tmp_path / "gone.json")
