"""Blocks one after the other: what stands around which mixer, and a token as a chunk of one."""

import torch
from torch import nn

from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.blocks import Around, in_order, read, step
from lmcore.model.recurrent.boundaries import find_boundaries
from lmcore.model.recurrent.layers import MIXERS, Mlp

CPU = torch.device("cpu")
CONFIG = ModelConfig(pattern="LAL", d_model=8, num_heads=2, head_dim=4, window=3)


def made(seed=0):
    torch.manual_seed(seed)
    mixers = [MIXERS[letter](8, CONFIG) for letter in CONFIG.pattern]
    around = [(nn.LayerNorm(8), nn.LayerNorm(8), Mlp(CONFIG)) for _ in range(2)]
    for module in [*mixers, *(part for parts in around for part in parts)]:
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.5)
    return mixers, around, in_order(mixers, around)


def test_the_first_mixer_is_a_stem_where_one_more_than_all_else() -> None:
    mixers, around, blocks = made()
    assert [block.mixer for block in blocks] == mixers
    assert [block.around for block in blocks] == [None, *(Around(*parts) for parts in around)]
    assert [block.around for block in in_order(mixers[1:], around)] == [
        Around(*parts) for parts in around
    ]


def test_a_chunk_by_hand() -> None:
    mixers, around, blocks = made()
    x = torch.randn(2, 5, 8)
    boundaries = find_boundaries(torch.ones(2, 5, dtype=torch.long), end_id=0)
    states = [mixer.fresh_state(2, device=CPU) for mixer in mixers]
    found, after = read(blocks, x, states, boundaries, rate=0.0, rng=None)
    y, _ = mixers[0](x, states[0], boundaries)
    for mixer, (mixer_norm, mlp_norm, mlp), state in zip(
        mixers[1:], around, states[1:], strict=True
    ):
        y = y + mixer(mixer_norm(y), state, boundaries)[0]
        y = y + mlp(mlp_norm(y))
    assert torch.equal(found, y)
    assert len(after) == 3


@torch.inference_mode()
def test_a_step_is_a_chunk_of_one_token() -> None:
    mixers, _, blocks = made()
    tokens = torch.ones(2, 5, dtype=torch.long)
    boundaries = find_boundaries(tokens, end_id=0)
    fresh = [mixer.fresh_state(2, device=CPU) for mixer in mixers]
    _, states = read(blocks, torch.randn(2, 5, 8), fresh, boundaries, rate=0.0, rng=None)
    chunks = [mixer.stepping(state) for mixer, state in zip(mixers, states, strict=True)]
    steps = [mixer.stepping(state) for mixer, state in zip(mixers, states, strict=True)]
    one = find_boundaries(tokens[:, :1], end_id=0)
    for _ in range(6):
        x = torch.randn(2, 8)
        expected, chunks = read(blocks, x[:, None], chunks, one, rate=0.0, rng=None)
        found, steps = step(blocks, x, steps)
        assert torch.equal(found, expected[:, 0])
