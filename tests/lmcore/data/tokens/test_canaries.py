import random
import re
from types import SimpleNamespace

import pytest

from lmcore.data.tokens.canaries import (
    MAX_SHARE,
    MIN_PAIRS,
    NUM_PAIRS,
    TEXT_BYTES,
    CanarySet,
    canary_id,
    plan_canaries,
    with_canaries,
)
from lmcore.errors import IntegrityError


class Rows:
    """A train split as far as its canaries are concerned."""

    def __init__(self, sizes, name="a"):
        self.rows = [{"id": f"{name}{i}", "num_bytes": size} for i, size in enumerate(sizes)]

    def iter_rows(self, *splits):
        assert splits == ("train",)
        return iter(self.rows)


def stream(canaries, count):
    documents = (SimpleNamespace(text=f"document {i}") for i in range(count))
    return [document.text for document in with_canaries(documents, canaries)]


def test_each_text_stands_once_between_whole_documents():
    canaries = plan_canaries(Rows([10_000] * 150), seed=0)
    assert len(canaries.pairs) == NUM_PAIRS
    found = stream(canaries, 150)
    inside = [text for text in found if not text.startswith("document")]
    assert sorted(inside) == sorted(canaries.texts)
    assert [t for t in found if t.startswith("document")] == [f"document {i}" for i in range(150)]
    assert not set(found) & {pair.outside for pair in canaries.pairs}
    for pair in canaries.pairs:
        before = found[: found.index(pair.inside)]
        assert (sum(t.startswith("document") for t in before),) == pair.after


def test_they_are_a_function_of_the_documents_and_the_seed():
    first = plan_canaries(Rows([10_000] * 150), seed=0)
    assert plan_canaries(Rows([10_000] * 150), seed=0) == first
    for other in (
        plan_canaries(Rows([10_000] * 150), seed=1),
        plan_canaries(Rows([10_000] * 150, name="b"), seed=0),
    ):
        assert not set(other.texts) & set(first.texts)


def test_texts_and_references_are_of_one_law_and_all_different():
    canaries = plan_canaries(Rows([10_000] * 150), seed=3)
    texts = [*canaries.texts, *(p.outside for p in canaries.pairs), *canaries.references(500)]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert re.fullmatch(r"[a-z]{5}( [a-z]{5}){4}", text)
        assert len(text) == TEXT_BYTES


def test_the_coin_falls_both_ways():
    # Of each pair the first or the second text is taken; over many seeds about half each.
    first = 0
    for seed in range(20):
        canaries = plan_canaries(Rows([10_000] * 150), seed=seed)
        first += sum(pair.inside < pair.outside for pair in canaries.pairs)
    assert 0.45 < first / (20 * NUM_PAIRS) < 0.55


@pytest.mark.parametrize("train_bytes", [0, 1_000, 50_000, 200_000, 10_000_000])
def test_they_are_a_small_share_of_the_text_or_none(train_bytes):
    canaries = plan_canaries(Rows([train_bytes]), seed=0)
    planted = len(canaries.pairs) * TEXT_BYTES
    assert planted <= MAX_SHARE * train_bytes
    assert not canaries.pairs or len(canaries.pairs) >= MIN_PAIRS
    assert bool(canaries.pairs) == (MAX_SHARE * train_bytes >= MIN_PAIRS * TEXT_BYTES)


def test_a_control_may_repeat_them():
    canaries = plan_canaries(Rows([100] * 7), seed=0, num_pairs=20, repeats=100)
    found = stream(canaries, 7)
    assert {found.count(text) for text in canaries.texts} == {100}


def test_without_canaries_the_documents_pass():
    assert stream(None, 3) == ["document 0", "document 1", "document 2"]
    assert stream(CanarySet(key="k"), 1) == ["document 0"]


def test_a_stored_set_is_read_again(tmp_path):
    import json

    canaries = plan_canaries(Rows([10_000] * 150), seed=random.Random(0).randrange(9))
    path = tmp_path / "canaries.json"
    assert CanarySet.read(path) is None
    path.write_text(json.dumps(canaries.to_json()))
    assert CanarySet.read(path) == canaries
    path.write_text("[]")
    with pytest.raises(IntegrityError, match="not a list of canaries"):
        CanarySet.read(path)


def test_ids_are_hashes_of_the_text():
    assert canary_id("abc").startswith("ba7816bf")


def test_what_an_earlier_training_met_is_forbidden_too(tmp_path):
    import json
    from dataclasses import replace

    canaries = plan_canaries(Rows([10_000] * 150), seed=0)
    assert "inherited" not in canaries.to_json()
    assert canaries.forbidden == canaries.texts
    later = replace(canaries, inherited=("aaaaa bbbbb", canaries.texts[0]))
    assert later.forbidden == (*canaries.texts, "aaaaa bbbbb")
    path = tmp_path / "canaries.json"
    path.write_text(json.dumps(later.to_json()))
    assert CanarySet.read(path) == later
