"""How a stream is cut into blocks of equal length, which lanes read side by side.

In: the length of a token stream and a batch shape.  Out: how many lanes, blocks and steps an epoch
has, so that almost all of the stream is read in each.
"""

from __future__ import annotations

from dataclasses import dataclass

from lmcore.counted import counted
from lmcore.errors import SourceError

MAX_BLOCK_TOKENS = 4096


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a stream is cut: a pure function of its length and of the batch shape.

    Attributes:
        stream_tokens: Length of the ring.
        batch_size: Lanes B, at most what was asked for.
        sequence_length: Tokens T of one step, at most what was asked for.
        block_tokens: Length of a block, a multiple of T.
        rounds: Blocks that each lane reads in an epoch.
    """

    stream_tokens: int
    batch_size: int
    sequence_length: int
    block_tokens: int
    rounds: int

    @property
    def num_blocks(self) -> int:
        """Blocks of one epoch; less than B * T * rounds tokens of the ring are left over."""
        return self.batch_size * self.rounds

    @property
    def steps_per_block(self) -> int:
        """Steps that carry the state on."""
        return self.block_tokens // self.sequence_length

    @property
    def steps_per_epoch(self) -> int:
        """Steps that read each block once."""
        return self.rounds * self.steps_per_block

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one step predicts."""
        return self.batch_size * self.sequence_length


def plan_layout(stream_tokens: int, *, batch_size: int, sequence_length: int) -> Layout:
    """Cut a stream so that almost all of it is read in each epoch.

    A stream shorter than one batch gets fewer lanes, and then a shorter sequence.

    Raises:
        SourceError: If there are fewer than two tokens.
    """
    if stream_tokens < 2:
        raise SourceError(
            f"the train split holds {counted(stream_tokens, 'token')}; expected at least 2. Give"
            " more text"
        )
    length = min(sequence_length, stream_tokens)
    lanes = min(batch_size, stream_tokens // length)
    per_lane = stream_tokens // lanes
    rounds = -(-per_lane // max(MAX_BLOCK_TOKENS, length))
    # A block holds at least one sequence, also where the sequence is about as long as a block.
    rounds = min(rounds, per_lane // length)
    block = per_lane // rounds // length * length
    # Blocks hold whole sequences; what long ones leave over is room for further blocks.
    rounds = per_lane // block
    return Layout(
        stream_tokens=stream_tokens,
        batch_size=lanes,
        sequence_length=length,
        block_tokens=block,
        rounds=rounds,
    )
