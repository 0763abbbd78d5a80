"""Damage spares validation, and does to the rest what it says, token by token."""

from collections import Counter

import numpy as np
import pytest

from lmcore.controls.bench import CORPUS, make_document
from lmcore.controls.damage import repeated, shuffled, with_noise

pytestmark = pytest.mark.usefixtures("one_thread")


def tokens(bench, documents):
    return [bench.sound.loaded.encode(document.text) for document in documents]


@pytest.mark.parametrize(
    "damage", [shuffled, lambda bench: with_noise(bench, share=0.5)], ids=["order", "noise"]
)
def test_validation_is_spared_and_nothing_else_is(bench, damage):
    found = damage(bench)
    assert len(found) == len(bench.corpus)
    for before, after in zip(bench.corpus, found, strict=True):
        assert after.split == before.split
        assert after.cluster == before.cluster
        assert (after == before) == (before.split == "validation")
    assert damage(bench) == found


def test_shuffling_changes_the_order_of_tokens_alone(bench):
    for before, after in zip(bench.corpus[:50], shuffled(bench)[:50], strict=True):
        one, other = tokens(bench, [before, after])
        assert one != other
        assert Counter(before.text) == Counter(after.text)
        # Tokens that meet by chance may be read as another one, so bytes are compared above.
        assert abs(len(one) - len(other)) < 0.2 * len(one)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_noise_hits_its_share_of_the_tokens(bench, share):
    count = CORPUS["train"]
    before = tokens(bench, bench.corpus[:count])
    after = tokens(bench, with_noise(bench, share=share)[:count])
    kept = [
        np.mean([a == b for a, b in zip(one, other, strict=True)])
        for one, other in zip(before, after, strict=True)
        # Where noise made tokens that read as one, the places no longer fit.
        if len(one) == len(other)
    ]
    assert len(kept) > count / 2
    # A third of the tokens are the ending, and letters and colours a sixteenth and an eighth of
    # the others each: what is drawn is the old one with the chance of the sum of squares of these.
    same = np.mean(
        [np.square(np.array(list(Counter(ids).values())) / len(ids)).sum() for ids in before]
    )
    assert np.mean(kept) == pytest.approx(1 - share * (1 - same), abs=0.02)


def test_copies_have_ids_of_their_own_and_one_cluster():
    originals = [make_document("one"), make_document("two", split="tune")]
    found = repeated(originals, times=3)
    assert [d.text for d in found] == ["one", "two"] * 3
    assert len({d.id for d in found}) == 6
    assert {len(d.id) for d in found} == {64}
    assert {d.cluster for d in found} == {d.cluster for d in originals}
    assert {d.split for d in found} == {"train"}
    assert repeated(originals, times=0) == []
