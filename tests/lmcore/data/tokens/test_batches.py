import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.tokens.batches import (
    Batch,
    BatchOrder,
    consumed_documents,
    evaluation_batches,
    merge,
    permute,
    plan_layout,
)
from lmcore.data.tokens.token_stream import TokenStream
from lmcore.errors import SourceError

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


def make_order(length: int, *, batch: int, sequence: int, seed: int = 0) -> BatchOrder:
    layout = plan_layout(length, batch_size=batch, sequence_length=sequence)
    return BatchOrder(stream=make_stream(length), layout=layout, seed=seed)


@given(size=st.integers(1, 300), key=st.binary(min_size=1, max_size=16))
@settings(deadline=None, max_examples=30)
def test_permute_is_a_permutation(size: int, key: bytes) -> None:
    assert sorted(permute(place, size=size, key=key) for place in range(size)) == list(range(size))


def test_permute_depends_on_its_key_and_does_not_keep_the_order() -> None:
    images = [[permute(place, size=100, key=key) for place in range(100)] for key in (b"a", b"b")]
    assert images[0] != images[1]
    assert sum(abs(b - a) == 1 for a, b in zip(images[0], images[0][1:], strict=False)) < 15


@given(
    length=st.integers(2, 40_000),
    batch=st.integers(1, 40),
    sequence=st.integers(2, 200),
)
@settings(deadline=None, max_examples=60)
def test_layout_reads_nearly_all_and_never_twice_in_an_epoch(
    length: int, batch: int, sequence: int
) -> None:
    layout = plan_layout(length, batch_size=batch, sequence_length=sequence)
    used = layout.num_blocks * layout.block_tokens
    assert used == layout.steps_per_epoch * layout.tokens_per_step
    assert used <= length < used + layout.num_blocks * layout.sequence_length + layout.num_blocks
    assert layout.block_tokens % layout.sequence_length == 0
    assert layout.batch_size <= batch
    assert layout.sequence_length <= sequence


@pytest.mark.parametrize("sequence", [512, 1024, 2048])
def test_long_sequences_leave_nothing_over_that_a_block_would_fit_into(sequence: int) -> None:
    # As many lanes and tokens as the annual messages have in a pretrained model's tokenizer.
    layout = plan_layout(2_118_409, batch_size=16, sequence_length=sequence)
    assert layout.num_blocks * layout.block_tokens > 0.97 * 2_118_409


def test_the_default_shape_wastes_little() -> None:
    layout = plan_layout(3_600_000, batch_size=32, sequence_length=128)
    assert layout.block_tokens <= 4096
    assert layout.num_blocks * layout.block_tokens > 0.96 * 3_600_000


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


def test_merge_by_hand() -> None:
    assert merge([(8, 12), (0, 1), (4, 6), (5, 7)], size=10) == [(0, 2), (4, 7), (8, 10)]
    assert merge([(3, 3)], size=10) == []


def test_a_stream_shorter_than_a_batch_is_read_in_a_smaller_one() -> None:
    layout = plan_layout(100, batch_size=32, sequence_length=64)
    assert (layout.batch_size, layout.sequence_length) == (1, 64)
    layout = plan_layout(10, batch_size=32, sequence_length=64)
    assert (layout.batch_size, layout.sequence_length, layout.rounds) == (1, 10, 1)


def test_one_token_is_too_little() -> None:
    with pytest.raises(SourceError, match="expected at least 2"):
        plan_layout(1, batch_size=1, sequence_length=4)


def test_evaluation_reads_evenly_spaced_contiguous_text() -> None:
    batches = list(
        evaluation_batches(make_stream(1000), max_tokens=200, batch_size=4, sequence_length=20)
    )
    assert [batch.fresh for batch in batches] == [True, False]
    assert batches[0].targets[:, 0].tolist() == [0, 250, 500, 750]
    assert batches[0].inputs[:, 0].tolist() == [999, 249, 499, 749]
    assert (batches[1].inputs[:, 0] == batches[0].targets[:, -1]).all()


@pytest.mark.parametrize("length", [3000, 4095, 4096, 5000])
def test_a_sequence_about_as_long_as_a_block_is_still_read(length: int) -> None:
    # 245 blocks of at most 4,096 tokens would be shorter than one sequence of 4,096.
    layout = plan_layout(1_000_000, batch_size=1, sequence_length=length)
    assert layout.block_tokens == length
    assert layout.num_blocks * layout.block_tokens <= 1_000_000


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
