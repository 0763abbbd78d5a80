"""Where windows begin follows from the place in the document alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmcore.model.pretrained.windows import Segment, cut, overlap_of

END = 0
NOTHING = np.zeros(0, dtype=np.int64)


def cut_all(row: list[int], parts: list[int], context: int) -> tuple[list[Segment], np.ndarray]:
    """Cut a row part by part, as calls with a state do."""
    segments, window, start = [], NOTHING, 0
    for size in parts:
        chunk = np.array(row[start : start + size])
        found, window = cut(chunk, window, lane=0, end_id=END, context=context)
        segments += found
        start += size
    return segments, window


def seen(segments: list[Segment]) -> list[tuple[int, ...]]:
    """What each new token is read behind, itself included."""
    found: list[tuple[int, ...]] = []
    window: list[int] = []
    for segment in segments:
        window = [*window[: segment.past], *segment.tokens.tolist()]
        if not segment.past:
            window = segment.tokens.tolist()
        first = len(window) - segment.num_new
        found += [tuple(window[: place + 1]) for place in range(first, len(window))]
    return found


def test_by_hand() -> None:
    row = [END, *range(1, 12), END, 20]
    segments, window = cut_all(row, [len(row)], 8)
    assert overlap_of(8) == 2
    assert [s.tokens.tolist() for s in segments] == [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [6, 7, 8, 9, 10, 11],
        [0, 20],
    ]
    assert [(s.column, s.repeated, s.past, s.num_new) for s in segments] == [
        (0, 0, 0, 8),
        (8, 2, 0, 4),
        (12, 0, 0, 2),
    ]
    assert window.tolist() == [0, 20]


@given(
    row=st.lists(st.integers(0, 5), min_size=1, max_size=60),
    context=st.integers(4, 20),
    data=st.data(),
)
def test_chunks_cut_as_the_whole_does(row: list[int], context: int, data: st.DataObject) -> None:
    parts, left = [], len(row)
    while left:
        parts.append(data.draw(st.integers(1, left)))
        left -= parts[-1]
    whole, window = cut_all(row, [len(row)], context)
    pieces, after = cut_all(row, parts, context)
    assert seen(pieces) == seen(whole)
    assert after.tolist() == window.tolist()
    for text in seen(whole):
        assert len(text) <= context
        assert END not in text[1:]
    # Nothing is lost: each token of the row is new once, in order.
    assert [text[-1] for text in seen(whole)] == row


@given(length=st.integers(1, 80), context=st.integers(4, 20))
def test_all_but_the_beginning_has_an_overlap_before_it(length: int, context: int) -> None:
    whole, _ = cut_all(list(range(1, length + 1)), [length], context)
    least = overlap_of(context)
    assert all(len(text) > min(place, least) for place, text in enumerate(seen(whole)))
    # A token more costs at most a third more.
    repeated = sum(segment.repeated for segment in whole)
    assert repeated <= length * least / (context - least)
