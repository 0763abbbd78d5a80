"""Documents become tokens, and every one is read once an epoch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.controls.bench import make_document
from lmcore.data.tokens.batches import Batch
from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.model.language_model import Reading
from lmcore.tasks.learning.examples import (
    ExampleOrder,
    by_length,
    encode,
    notes_on_lengths,
    padded,
    side_by_side,
)


def test_every_example_is_read_once_an_epoch_in_an_order_that_the_step_decides() -> None:
    lengths = [i % 17 + 1 for i in range(103)]
    first, again = (ExampleOrder(lengths, batch_size=8, seed=1, fingerprint="f") for _ in range(2))
    assert first.steps_per_epoch == 13
    for epoch in range(2):
        steps = range(13 * epoch, 13 * (epoch + 1))
        assert sorted(int(i) for s in steps for i in first.members(s)) == list(range(103))
    assert again.members(20).tolist() == first.members(20).tolist()
    assert again.members(0).tolist() == first.members(0).tolist()
    # Batches gather examples of similar length.
    spread = [np.ptp([lengths[i] for i in first.members(s)]) for s in range(13)]
    assert np.mean(spread) < 4


def test_both_sides_are_cut_to_their_limits_and_say_so() -> None:
    documents = [
        make_document("abc", target=" xyz "),
        make_document("abcd", target="vwxyz"),
        make_document("", target=None),
    ]
    whole, cut, nothing = encode(documents, ByteTokenizer(), max_source=3, max_target=4)
    assert (whole.source.tolist(), whole.truncated) == ([*b"abc"], False)
    assert (whole.target.tolist(), whole.target_truncated) == ([*b"xyz"], False)
    assert (cut.source.tolist(), cut.truncated) == ([*b"abc"], True)
    assert (cut.target.tolist(), cut.target_truncated) == ([*b"vwxy"], True)
    assert (len(nothing.source), len(nothing.target)) == (0, 0)
    # Both sides and the two signs around them.
    assert [e.num_tokens for e in (whole, cut, nothing)] == [8, 9, 2]


def test_a_label_is_no_target_of_tokens() -> None:
    documents = [make_document(str(n), target="a label") for n in range(2_000)]
    found = encode(iter(documents), ByteTokenizer(), max_source=9, max_target=None)
    assert [e.source.tolist() for e in found] == [[*str(n).encode()] for n in range(2_000)]
    assert not any(len(e.target) or e.target_truncated for e in found)


def test_other_seeds_and_other_data_are_read_in_another_order() -> None:
    lengths = list(range(40))

    def read(**changes: object) -> list[int]:
        options = {"batch_size": 8, "seed": 1, "fingerprint": "f", **changes}
        order = ExampleOrder(lengths, **options)
        return [int(i) for step in range(5) for i in order.members(step)]

    assert len({tuple(read()), tuple(read(seed=2)), tuple(read(fingerprint="g"))}) == 3
    assert read() == read()


def test_a_batch_is_no_larger_than_all_there_is() -> None:
    order = ExampleOrder([3, 1, 2], batch_size=8, seed=0, fingerprint="f")
    assert (order.batch_size, order.steps_per_epoch) == (3, 1)
    assert sorted(order.members(7).tolist()) == [0, 1, 2]


def test_rows_are_padded_behind() -> None:
    rows = [np.array([1, 2]), np.array([3])]
    assert padded(rows, end_id=9).tolist() == [[1, 2], [3, 0]]
    # The end token would start a document.
    assert padded(rows, end_id=0).tolist() == [[1, 2], [3, 1]]
    assert padded([np.array([], dtype=np.int64)], end_id=9).shape == (1, 1)


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 7))
def test_all_places_are_gathered_once_by_length(lengths: list[int], together: int) -> None:
    groups = list(by_length(lengths, together=together))
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    assert all(0 < len(group) <= together for group in groups)
    read = [lengths[place] for group in groups for place in group]
    assert read == sorted(read)


def test_lengths_are_told_by_median_quantile_and_maximum() -> None:
    found = notes_on_lengths({"source": range(1, 102), "target": []}, unit="tokens")
    assert found == {"source": "median 51, 95 % up to 96, longest 101 tokens"}


@given(
    lengths=st.lists(st.integers(1, 50), max_size=40),
    together=st.integers(1, 9),
    most=st.integers(1, 120),
)
def test_groups_are_bounded_in_padded_tokens(lengths: list[int], together: int, most: int) -> None:
    groups = list(by_length(lengths, together=together, most_tokens=most))
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) <= together
        assert len(group) == 1 or len(group) * max(lengths[place] for place in group) <= most


def test_a_model_that_reads_whole_texts_gets_as_many_as_fit() -> None:
    lengths = [4] * 10 + [100]
    whole = Reading(lanes=1, chunk_tokens=20, tokens_at_once=20)
    assert [len(group) for group in side_by_side(lengths, whole)] == [5, 5, 1]
    assert [len(group) for group in side_by_side(lengths, Reading(lanes=8))] == [8, 3]
    assert list(side_by_side([], whole)) == []


@pytest.mark.parametrize(("tokens", "lanes"), [(0, 0), (12, 3), (4, 1), (2, 1)])
def test_a_step_goes_through_the_model_in_parts(tokens: int, lanes: int) -> None:
    order = ExampleOrder([4] * 6, batch_size=6, seed=0, fingerprint="", tokens_at_once=tokens)
    inputs = np.zeros((6, 4), dtype=np.int64)
    assert order.in_parts(Batch(inputs=inputs, targets=inputs, fresh=True)).lanes_at_once == lanes
