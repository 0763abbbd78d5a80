"""Rows of many blocks in turn: each token once in an epoch, neighbours from different places."""

from __future__ import annotations

import numpy as np
import pytest

from lmcore.data.tokens import turns
from lmcore.data.tokens.batches import MAX_BLOCK_TOKENS, BatchOrder, plan_layout
from lmcore.data.tokens.token_stream import TokenStream
from lmcore.data.tokens.turns import InTurns


def make_stream(length: int) -> TokenStream:
    """Tokens that tell their own position."""
    return TokenStream(
        shards=(np.arange(length, dtype=np.uint32),),
        doc_ends=np.array([length]),
        doc_ids=np.zeros(1, dtype="S64"),
        end_id=length,
        vocab_size=length + 1,
        num_bytes=length,
        spelled_bytes=length,
        fingerprint="f",
    )


def make_order(length: int, *, batch: int, sequence: int) -> InTurns:
    layout = plan_layout(length, batch_size=batch, sequence_length=sequence)
    return InTurns(stream=make_stream(length), layout=layout, seed=0)


@pytest.mark.parametrize("blocks", [1, 3, 8, 1000])
@pytest.mark.parametrize("batch", [1, 2])
def test_an_epoch_reads_what_it_reads_in_rows(
    batch: int, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "BLOCKS", blocks)
    order = make_order(20 * MAX_BLOCK_TOKENS, batch=batch, sequence=512)
    plain = BatchOrder(stream=order.stream, layout=order.layout, seed=0)
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


def test_steps_in_a_row_read_blocks_of_their_own() -> None:
    order = make_order(70 * MAX_BLOCK_TOKENS, batch=2, sequence=512)
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


def test_each_step_starts_from_nothing() -> None:
    order = make_order(10_000, batch=2, sequence=16)
    assert all(order.batch(step).fresh for step in range(40))


@pytest.mark.parametrize("steps", [0, 1, 5, 31, 64, 100, 288, 289, 600])
def test_consumed_is_what_the_targets_were(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "BLOCKS", 8)
    order = make_order(20 * MAX_BLOCK_TOKENS, batch=1, sequence=256)
    seen = {int(t) for step in range(steps) for t in order.batch(step).targets.ravel()}
    ranges = order.consumed(steps)
    assert {value for start, stop in ranges for value in range(start, stop)} == seen
    assert ranges == sorted(ranges)


def test_a_short_training_reads_blocks_and_not_rows() -> None:
    order = make_order(1000 * MAX_BLOCK_TOKENS, batch=1, sequence=512)
    ranges = order.consumed(512)
    assert np.diff(ranges).min() >= order.layout.block_tokens
