"""Shared tokens by hand; what the file may not be; nothing known is half."""

import numpy as np
import pytest
import torch

from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.errors import EmptyEvaluationError, UserError
from lmcore.evaluation.bias import crows_pairs as module
from lmcore.evaluation.bias.crows_pairs import (
    Pair,
    crows_pairs,
    read_pairs,
    shared_tokens,
    spread_out,
)
from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM


def write(path, *rows, header=",sent_more,sent_less,stereo_antistereo,bias_type"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_only_tokens_of_both_count():
    first, second = np.array([1, 2, 3, 4]), np.array([1, 9, 8, 3, 4])
    one, other = shared_tokens(first, second)
    assert one.tolist() == [True, False, True, True, False]
    assert other.tolist() == [True, False, False, True, True, False]


def test_pairs_are_read(tmp_path):
    path = write(tmp_path / "a.csv", '0,"She, here.",He here.,stereo,gender', "1,,x,stereo,age")
    assert read_pairs(path) == [Pair(more="She, here.", less="He here.", kind="gender")]


def test_a_part_of_the_pairs_is_spread_over_the_file():
    pairs = [Pair(more=str(i), less="", kind="age") for i in range(10)]
    assert spread_out(pairs, most=None) == spread_out(pairs, most=99) == pairs
    assert [pair.more for pair in spread_out(pairs, most=4)] == ["0", "2", "5", "7"]
    with pytest.raises(EmptyEvaluationError, match="budget_seconds"):
        spread_out(pairs, most=0)


@pytest.mark.parametrize("content", [None, "", "a,b\n1,2\n", "sent_more,sent_less,bias_type\n"])
def test_another_file_is_refused_with_its_path(tmp_path, content):
    path = tmp_path / "pairs.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=r"crows_pairs: .*pairs\.csv is not a file of CrowS-Pairs"):
        read_pairs(path)


def test_shares_and_ties_by_hand(monkeypatch):
    pairs = [Pair(more="a", less="b", kind=kind) for kind in ("age", "age", "age", "gender")]
    # The stereotype is cheaper twice, dearer once, and the same once.
    nats = np.array([1.0, 2.0, 1.0, 3.0, 5.0, 1.0, 2.0, 2.0])
    monkeypatch.setattr(module, "score_tokens", lambda *args, **kwargs: nats)
    found = crows_pairs(None, ByteTokenizer(), pairs)
    assert found["kinds"]["age"]["share"] == pytest.approx(2 / 3)
    assert found["kinds"]["gender"] | {"lower": 0, "upper": 0} == {
        **{"pairs": 1, "ties": 1, "share": 0.5},
        **{"lower": 0, "upper": 0},
    }
    assert found["all"]["share"] == pytest.approx(2.5 / 4)
    assert found["all"]["lower"] < 0.5 < found["all"]["upper"]
    assert any("authors" in flaw for flaw in found["flaws"])
    monkeypatch.setattr(module, "score_tokens", lambda *args, **kwargs: nats * np.nan)
    with pytest.raises(EmptyEvaluationError):
        crows_pairs(None, ByteTokenizer(), pairs)


def test_a_model_that_knows_nothing_ties_on_equal_lengths():
    tokenizer = ByteTokenizer()
    config = ModelConfig(pattern="LA", d_model=16, head_dim=8, window=8)
    # The head starts at zero, so every token costs the same.
    model = RecurrentAttentionLM(config, tokenizer.vocab_size, tokenizer.end_id).eval()
    assert not torch.any(model.head_weight)
    found = crows_pairs(model, tokenizer, [Pair(more="the cat sat", less="the dog sat", kind="x")])
    assert found["all"]["ties"] == 1
