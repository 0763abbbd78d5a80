"""Near-copies are recognised from a sketch: edited, cut out, taken in; and others are not."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.copies.sketches import (
    KEPT,
    CopyIndex,
    Sketch,
    distinct_shingles,
    earlier_distinct_shingles,
    likeness,
    sketch_text,
)


def words(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    return [f"w{rng.randrange(20_000)}" for _ in range(count)]


def edited(tokens: list[str], rate: float, seed: int = 1) -> str:
    rng = random.Random(seed)
    return " ".join(f"x{rng.randrange(20_000)}" if rng.random() < rate else w for w in tokens)


@pytest.mark.parametrize("count", [40, 300, 3_000, 30_000])
def test_an_edited_copy_is_found_and_a_stranger_is_not(count: int) -> None:
    tokens = words(0, count)
    index = CopyIndex([sketch_text(" ".join(words(9, count))), sketch_text(" ".join(tokens))])
    assert [copy.index for copy in index.find(edited(tokens, 0.03))] == [1]
    assert index.find(" ".join(words(5, count))) == []


def test_the_share_is_that_of_the_texts() -> None:
    tokens = words(0, 20_000)
    index = CopyIndex([sketch_text(" ".join(tokens))])
    # Five words a shingle, each kept with 0.95: 0.774 of the shingles survive.
    (copy,) = index.find(edited(tokens, 0.05))
    assert copy.share == pytest.approx(0.95**5, abs=0.06)
    assert index.find(edited(tokens, 0.25)) == []  # 0.237 survive


def test_a_passage_taken_out_and_a_document_taken_in_are_copies() -> None:
    tokens = words(0, 8_000)
    index = CopyIndex([sketch_text(" ".join(tokens)), sketch_text(" ".join(words(3, 60)))])
    passage = " ".join(tokens[2_000:2_300])
    assert [copy.index for copy in index.find(passage)] == [0]
    around = " ".join([*words(4, 5_000), *words(3, 60), *words(5, 5_000)])
    assert [copy.index for copy in index.find(around)] == [1]


def test_a_short_phrase_does_not_claim_every_text_that_holds_it() -> None:
    index = CopyIndex([sketch_text("I have the honour to be your servant")])
    assert index.find("I have the honour to be your servant")[0].share == 1.0
    assert index.find(" ".join(["I have the honour to be your servant", *words(1, 200)])) == []


def test_scripts_without_spaces_are_compared_by_characters() -> None:
    text = "".join(chr(0x4E00 + (i * 7919) % 5000) for i in range(400))
    assert CopyIndex([sketch_text(text)]).find(text[:390] + "终") != []


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400), st.integers(1, 80), st.integers(0, 6))
def test_a_text_is_always_found_by_its_own_sketch(text: str, kept: int, shift: int) -> None:
    sketch = sketch_text(text, kept=kept, max_shift=shift)
    again = Sketch.from_bytes(sketch.to_bytes())
    assert np.array_equal(again.hashes, sketch.hashes)
    assert (again.shift, again.total) == (sketch.shift, sketch.total)
    assert sketch.total == len(distinct_shingles(text))
    assert sketch.shift <= shift
    if sketch.shift == 0:
        assert CopyIndex([sketch]).find(text)[0].share == 1.0
        assert likeness(sketch, again) == 1.0


def test_its_size_is_bounded_and_then_a_small_share_of_the_text() -> None:
    for count, most in ((1_000, 4 * (KEPT + 2)), (100_000, None)):
        text = " ".join(words(2, count))
        size = len(sketch_text(text).to_bytes())
        assert size <= (most or 0.05 * len(text))


@pytest.mark.parametrize("raw", [b"", b"\0" * 8, b"\xff" * 12])
def test_bytes_that_are_no_sketch_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="no sketch"):
        Sketch.from_bytes(raw)


# Made by the release before texts were folded and cut by Unicode: `sketch_text(...).to_bytes()`.
EARLIER = {
    "हिन्दी में लिखा हुआ एक छोटा सा पत्र जो किसी को भेजा गया था और फिर खो गया": (
        "0000000017000000260ef503d537290889cdf3099e03a30a5ae5010f95862539bd4f3b3c5bdc9247"
        "211e3348a354424cb97225572f87cf5cdb80266d218de46fb3501972f5a67a8fcc25d5928baddfa7"
        "e9993cc24a560fcdba2e63ce2d9fa6f79ed0e3f8"
    ),
    "“Naïve” — the office\u00adholder\u2019s ﬁnal co-\noperation was filed, as they say.": (
        "0000000009000000a4f02427fc28be2cc49deb7923cb2a8a96195fab67e047b9f63a6fdab70fefdc98525af1"
    ),
}


@pytest.mark.parametrize("text", EARLIER)
def test_a_text_is_found_by_the_sketch_that_an_earlier_release_made(text: str) -> None:
    before = Sketch.from_bytes(bytes.fromhex(EARLIER[text]))
    assert not np.array_equal(before.hashes, distinct_shingles(text))
    index = CopyIndex([before, sketch_text(" ".join(words(0, 50)))])
    assert [(copy.index, copy.share) for copy in index.find(text)] == [(0, 1.0)]
    # Plain ASCII was and is cut alike.
    assert earlier_distinct_shingles(" ".join(words(0, 50))) is None


def test_two_sketches_of_different_fineness_are_compared() -> None:
    tokens = words(0, 6_000)
    coarse = sketch_text(" ".join(tokens))
    fine = sketch_text(edited(tokens, 0.03), kept=4_096, max_shift=16)
    assert coarse.shift > fine.shift
    found = likeness(fine, coarse)
    assert found is not None
    assert found == pytest.approx(0.97**5, abs=0.1)
    assert likeness(fine, sketch_text(" ".join(words(8, 6_000)))) is None
