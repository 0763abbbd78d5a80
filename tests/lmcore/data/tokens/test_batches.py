import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.tokens import batches
from lmcore.data.tokens.batches import (
    Batch,
    BatchOrder,
    consumed_documents,
    evaluation_batches,
    merge,
    permute,
)
from lmcore.data.tokens.layout import MAX_BLOCK_TOKENS, plan_layout
from lmcore.data.tokens.token_stream import TokenStream

END = 9


def make_stream(length: int, *, fingerprint: str = "f") -> TokenStream:
    """Tokens that tell their own position, in documents of up to 50 tokens."""
    ends = np.array([*range(50, length, 50), length], dtype=np.int64)
    return TokenStream(
        shards=(np.arange(length, dtype=np.uint32),),
        doc_ends=ends,
        doc_ids=np.zeros(len(ends), dtype="S64"),
        end_id=END,
        vocab_size=length,
        num_bytes=length,
        spelled_bytes=length,
        fingerprint=fingerprint,
    )


def make_order(
    length: int, *, batch: int, sequence: int, seed: int = 0, carries_state: bool = True
) -> BatchOrder:
    layout = plan_layout(length, batch_size=batch, sequence_length=sequence)
    return BatchOrder(
        stream=make_stream(length), layout=layout, seed=seed, carries_state=carries_state
    )


@given(size=st.integers(1, 300), key=st.binary(min_size=1, max_size=16))
@settings(deadline=None, max_examples=30)
def test_permute_is_a_permutation(size: int, key: bytes) -> None:
    assert sorted(permute(place, size=size, key=key) for place in range(size)) == list(range(size))


def test_permute_depends_on_its_key_and_does_not_keep_the_order() -> None:
    images = [[permute(place, size=100, key=key) for place in range(100)] for key in (b"a", b"b")]
    assert images[0] != images[1]
    assert sum(abs(b - a) == 1 for a, b in zip(images[0], images[0][1:], strict=False)) < 15


@given(
    length=st.integers(2, 3000),
    batch=st.integers(1, 6),
    sequence=st.integers(2, 40),
    seed=st.integers(0, 5),
)
@settings(deadline=None, max_examples=30)
def test_an_epoch_predicts_each_token_once_and_targets_follow_inputs(
    length: int, batch: int, sequence: int, seed: int
) -> None:
    order = make_order(length, batch=batch, sequence=sequence, seed=seed)
    layout = order.layout
    seen: list[int] = []
    for step in range(layout.steps_per_epoch):
        got = order.batch(step)
        assert got.inputs.shape == (layout.batch_size, layout.sequence_length)
        assert ((got.inputs + 1) % length == got.targets).all()
        seen += got.targets.ravel().tolist()
    assert len(seen) == len(set(seen)) == layout.num_blocks * layout.block_tokens
    expected = [value for a, b in order.consumed(layout.steps_per_epoch) for value in range(a, b)]
    assert sorted(seen) == expected


def test_lanes_carry_on_inside_a_block_and_jump_at_fresh() -> None:
    order = make_order(10_000, batch=4, sequence=16)
    last = order.batch(0)
    assert last.fresh
    for step in range(1, 2 * order.layout.steps_per_epoch):
        batch = order.batch(step)
        carried = batch.inputs[:, 0] == last.targets[:, -1]
        assert batch.fresh == (step % order.layout.steps_per_block == 0)
        if not batch.fresh:
            assert carried.all()
        last = batch


def test_random_access_equals_reading_in_order() -> None:
    order = make_order(5000, batch=3, sequence=20)
    forward = [order.batch(step).inputs.tolist() for step in range(300)]
    again = make_order(5000, batch=3, sequence=20)
    assert [again.batch(step).inputs.tolist() for step in range(299, -1, -1)] == forward[::-1]


def test_order_depends_on_seed_epoch_and_fingerprint() -> None:
    order = make_order(5000, batch=3, sequence=20)
    first = order.block_starts(0, 0)
    assert order.block_starts(1, 0) != first
    assert make_order(5000, batch=3, sequence=20, seed=1).block_starts(0, 0) != first
    other = BatchOrder(
        stream=make_stream(5000, fingerprint="g"), layout=order.layout, seed=order.seed
    )
    assert other.block_starts(0, 0) != first


@pytest.mark.parametrize("steps", [0, 1, 7, 41, 42, 43, 100, 400])
def test_consumed_is_what_the_targets_were(steps: int) -> None:
    order = make_order(2000, batch=3, sequence=16)
    seen = {int(t) for step in range(steps) for t in order.batch(step).targets.ravel()}
    ranges = order.consumed(steps)
    assert {value for start, stop in ranges for value in range(start, stop)} == seen
    documents = consumed_documents(order.stream, ranges)
    assert set(np.flatnonzero(documents)) == {token // 50 for token in seen}


@pytest.mark.parametrize("blocks", [1, 3, 8, 1000])
@pytest.mark.parametrize("batch", [1, 2])
def test_an_epoch_reads_the_same_rows_with_a_state_and_without(
    batch: int, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BLOCKS", blocks)
    order = make_order(20 * MAX_BLOCK_TOKENS, batch=batch, sequence=512, carries_state=False)
    plain = make_order(20 * MAX_BLOCK_TOKENS, batch=batch, sequence=512)
    steps = order.layout.steps_per_epoch
    for epoch in range(2):
        both = [
            sorted(
                tuple(row)
                for step in range(steps)
                for row in one.batch(epoch * steps + step).inputs
            )
            for one in (order, plain)
        ]
        assert both[0] == both[1]


def test_steps_in_a_row_read_blocks_of_their_own_without_a_state() -> None:
    order = make_order(70 * MAX_BLOCK_TOKENS, batch=2, sequence=512, carries_state=False)
    assert order.layout.rounds == 35
    assert order.layout.steps_per_block == 8
    firsts = [order.batch(step).inputs[:, 0] for step in range(8 * 32)]
    # 32 rounds of two blocks, then the next row of each of them.
    assert len({int(first) for step in firsts[:32] for first in step}) == 64
    for step in range(32, len(firsts)):
        assert ((firsts[step] - firsts[step - 32]) % len(order.stream) == 512).all()
    # The three rounds that are left over.
    left = [order.batch(8 * 32 + step).inputs[:, 0] for step in range(24)]
    assert ((left[3] - left[0]) % len(order.stream) == 512).all()


@pytest.mark.parametrize("batch", [2, 70])  # with many lanes one round is read at a time
def test_each_step_starts_from_nothing_without_a_state(batch: int) -> None:
    order = make_order(10_000, batch=batch, sequence=16, carries_state=False)
    assert all(order.batch(step).fresh for step in range(40))


@pytest.mark.parametrize("steps", [0, 1, 5, 31, 64, 100, 288, 289, 600])
def test_consumed_is_what_the_targets_were_without_a_state(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BLOCKS", 8)
    order = make_order(20 * MAX_BLOCK_TOKENS, batch=1, sequence=256, carries_state=False)
    seen = {int(t) for step in range(steps) for t in order.batch(step).targets.ravel()}
    ranges = order.consumed(steps)
    assert {value for start, stop in ranges for value in range(start, stop)} == seen
    assert ranges == sorted(ranges)


def test_a_short_training_without_a_state_reads_blocks_and_not_rows() -> None:
    order = make_order(1000 * MAX_BLOCK_TOKENS, batch=1, sequence=512, carries_state=False)
    ranges = order.consumed(512)
    assert np.diff(ranges).min() >= order.layout.block_tokens


def test_merge_by_hand() -> None:
    assert merge([(8, 12), (0, 1), (4, 6), (5, 7)], size=10) == [(0, 2), (4, 7), (8, 10)]
    assert merge([(3, 3)], size=10) == []


def test_evaluation_reads_evenly_spaced_contiguous_text() -> None:
    looks = list(
        evaluation_batches(make_stream(1000), max_tokens=200, batch_size=4, sequence_length=20)
    )
    assert [batch.fresh for batch in looks] == [True, False]
    assert looks[0].targets[:, 0].tolist() == [0, 250, 500, 750]
    assert looks[0].inputs[:, 0].tolist() == [999, 249, 499, 749]
    assert (looks[1].inputs[:, 0] == looks[0].targets[:, -1]).all()


@pytest.mark.parametrize(("lanes", "sizes"), [(0, [5]), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_parts_of_a_batch_are_its_lanes_in_order(lanes: int, sizes: list[int]) -> None:
    tokens = np.arange(15).reshape(5, 3)
    weights = tokens.astype(np.float32)
    batch = Batch(
        inputs=tokens, targets=tokens[:, 0], fresh=True, weights=weights, lanes_at_once=lanes
    )
    parts = batch.parts()
    assert [len(part.inputs) for part in parts] == sizes
    assert np.concatenate([part.inputs for part in parts]).tolist() == tokens.tolist()
    assert np.concatenate([part.targets for part in parts]).tolist() == tokens[:, 0].tolist()
    assert np.concatenate([part.weights for part in parts if part.weights is not None]).shape == (
        5,
        3,
    )
