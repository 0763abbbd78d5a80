"""Many processes do what one does: the same rows, masks, losses and decisions."""

from __future__ import annotations

import torch

from lmcore.model.layers import LaneGenerator, locked_dropout


def test_shares_of_a_mask_are_rows_of_the_whole() -> None:
    x = torch.ones(6, 3, 8)
    whole = locked_dropout(x, rate=0.5, rng=torch.Generator().manual_seed(1))
    for lanes in (slice(0, 2), slice(2, 4), slice(4, 6)):
        rng = LaneGenerator("cpu")
        rng.manual_seed(1)
        rng.lanes, rng.num_lanes = lanes, 6
        assert torch.equal(locked_dropout(x[lanes], rate=0.5, rng=rng), whole[lanes])
