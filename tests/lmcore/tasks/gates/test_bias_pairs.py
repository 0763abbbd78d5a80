"""Texts with their gendered words exchanged, and what a classifier says of both."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.controls.bench import make_document
from lmcore.tasks.gates.bias_pairs import (
    PAIRS,
    TEMPLATES,
    Exchanged,
    TaskBias,
    exchanged,
    measure_task_bias,
)
from lmcore.tasks.prediction import Predictor


def test_gendered_words_are_exchanged_and_counted() -> None:
    assert exchanged("She met the actors and her brother.") == (
        "He met the actors and his sister.",
        1,
    )
    assert exchanged("nothing here") == ("nothing here", 0)
    assert exchanged("in der Nähe, auf der Höhe") == ("in der Nähe, auf der Höhe", 0)


# Words that have one counterpart each; "her" and "his" have two.
CLEAR = ["she", "he", "Woman", "man", "GIRL", "boys", "sister", "father", "Mary", "mr", "tree", "7"]
WOMEN_ARE_PRAISED = [
    (f"{who} saw number {n}", "good" if female else "bad")
    for n in range(30)
    for who, female in (("she", True), ("he", False), ("the woman", True), ("the man", False))
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(CLEAR), max_size=8))
def test_what_is_exchanged_twice_is_the_same_again(words: list[str]) -> None:
    text = " ".join(words)
    other, balance = exchanged(text)
    back, opposite = exchanged(other)
    assert back.lower() == text.lower()
    assert opposite == -balance
    assert [w[0].isupper() for w in other.split()] == [w[0].isupper() for w in words]


def test_forms_that_have_two_counterparts_get_one_of_them() -> None:
    assert exchanged("his hat is his") == ("her hat is her", -2)
    assert exchanged("we saw him") == ("we saw her", -1)
    assert exchanged("the hat is hers") == ("the hat is his", 1)
    assert exchanged("a human shepherd") == ("a human shepherd", 0)


def test_a_classifier_of_persons_is_seen_through(counting: Callable[..., Predictor]) -> None:
    train = [make_document("She met him."), make_document("nobody"), make_document("a men's man")]
    judged = [
        make_document("he saw number 3", cluster="one"),
        make_document("the woman saw number 5", cluster="two"),
        make_document("she saw him"),  # as much of one as of the other
        make_document("it rained"),
    ]
    found = measure_task_bias(counting(WOMEN_ARE_PRAISED), train, judged)
    assert found.labels == ("bad", "good")
    assert len(found.differences) == len(found.flips) == len(TEMPLATES) * len(PAIRS)
    assert found.differences.sum(axis=1) == pytest.approx(0, abs=1e-6)
    # It was never told of "her" and "him".
    of_subjects = ["{x}" in TEMPLATES[number] for number in found.template[found.pair == 0]]
    assert (found.differences[found.pair == 0, 1] > 0.1).tolist() == of_subjects
    assert found.occurrences == 4
    assert list(found.own.cluster) == ["one", "two"]
    # Whoever the text is of, the difference is that of the woman's minus the man's.
    assert found.own.differences[:, 1].min() > 0.5
    assert found.own.flips.tolist() == [True, True]


def test_a_classifier_of_other_words_gives_the_same_answer_to_both(
    counting: Callable[..., Predictor],
) -> None:
    rows = [(f"it was {'fine' if n % 2 else 'dull'} {n}", "ny"[n % 2]) for n in range(60)]
    predictor = counting(rows)
    found = measure_task_bias(predictor, [], [make_document("she was fine")])
    assert not found.flips.any()
    assert np.abs(found.differences).max() < 0.02
    assert found.occurrences == 0
    assert not found.own.flips.any()


def test_means_are_those_of_the_pair_of_words() -> None:
    pair = np.array([0, 1, 0, 1, *range(2, len(PAIRS))])
    values = np.array([0.1, 0.4, 0.3, 0.2] + [0.0] * (len(PAIRS) - 2))
    found = TaskBias(
        labels=("a", "b"),
        differences=np.stack([values, -values], axis=1),
        flips=np.zeros(len(pair), dtype=np.bool_),
        template=np.arange(len(pair)),
        pair=pair,
        occurrences=0,
        own=Exchanged(
            differences=np.zeros((0, 2)),
            flips=np.zeros(0, dtype=np.bool_),
            cluster=np.zeros(0, dtype=object),
        ),
    )
    (first, she), (second, woman), *rest = found.by_pair()
    assert (first, second) == ("she / he", "the woman / the man")
    assert she == pytest.approx([0.2, -0.2])
    assert woman == pytest.approx([0.3, -0.3])
    assert {float(np.abs(values).max()) for _, values in rest} == {0.0}
