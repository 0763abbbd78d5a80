"""How a stream is cut: nearly all of it is read, whatever its length and the batch."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.tokens.layout import plan_layout
from lmcore.errors import SourceError


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


def test_a_stream_shorter_than_a_batch_is_read_in_a_smaller_one() -> None:
    layout = plan_layout(100, batch_size=32, sequence_length=64)
    assert (layout.batch_size, layout.sequence_length) == (1, 64)
    layout = plan_layout(10, batch_size=32, sequence_length=64)
    assert (layout.batch_size, layout.sequence_length, layout.rounds) == (1, 10, 1)


def test_one_token_is_too_little() -> None:
    with pytest.raises(SourceError, match="expected at least 2"):
        plan_layout(1, batch_size=1, sequence_length=4)


@pytest.mark.parametrize("length", [3000, 4095, 4096, 5000])
def test_a_sequence_about_as_long_as_a_block_is_still_read(length: int) -> None:
    # 245 blocks of at most 4,096 tokens would be shorter than one sequence of 4,096.
    layout = plan_layout(1_000_000, batch_size=1, sequence_length=length)
    assert layout.block_tokens == length
    assert layout.num_blocks * layout.block_tokens <= 1_000_000
