"""The shares that are shown are those that the model computes with."""

import pytest
import torch
from torch import Tensor

from lmcore.model.attention import AttentionMixer
from lmcore.model.attention_map import attention_weights
from lmcore.model.boundaries import find_boundaries
from lmcore.model.config import ModelConfig
from lmcore.model.language_model import RecurrentAttentionLM

END = 10


def make_model(pattern: str, window: int) -> RecurrentAttentionLM:
    config = ModelConfig(
        pattern=pattern, d_model=16, embedding_dim=8, num_heads=2, head_dim=4, window=window
    )
    torch.manual_seed(0)
    return RecurrentAttentionLM(config, END + 1, END).eval()


def tokens(length: int, *, ends: list[int]) -> Tensor:
    found = torch.randint(0, END, (2, length), generator=torch.Generator().manual_seed(1))
    found[0, ends] = END
    return found


@pytest.mark.parametrize("window", [3, 40])
@torch.no_grad()
def test_shares_of_values_are_what_the_layer_gives(window: int) -> None:
    model = make_model("A", window)
    (mixer,) = model.mixers
    assert isinstance(mixer, AttentionMixer)
    torch.nn.init.normal_(mixer.out.weight)
    given = tokens(17, ends=[5, 11])
    x = torch.randn(2, 17, 16, generator=torch.Generator().manual_seed(2))
    boundaries = find_boundaries(given, end_id=END)
    state = mixer.fresh_state(2, device=torch.device("cpu"))
    y, _ = mixer(x, state, boundaries)
    values = (x @ mixer.qkv.weight.chunk(3)[2].T).view(2, 17, 2, 4).transpose(1, 2)
    read = mixer.weights(x, boundaries) @ values
    torch.testing.assert_close(mixer.out(read.transpose(1, 2).reshape(2, 17, 8)), y)


def test_a_row_sums_to_one_and_sees_its_own_document_and_window_only() -> None:
    model = make_model("LAA", 3)
    given = tokens(9, ends=[4])
    layers = attention_weights(model, given)
    assert [tuple(shares.shape) for shares in layers] == [(2, 2, 9, 9)] * 2
    for shares in layers:
        torch.testing.assert_close(shares.sum(-1), torch.ones(2, 2, 9))
        reader, word = torch.meshgrid(torch.arange(9), torch.arange(9), indexing="ij")
        hidden = (word > reader) | (reader - word > 3)
        assert not shares[:, :, hidden].any()
        assert not shares[0, :, 4:, :4].any()
        assert shares[1, :, 4, 3].all()


def test_a_pattern_without_attention_has_no_map_and_no_hook_stays() -> None:
    assert attention_weights(make_model("LR", 4), tokens(5, ends=[])) == []
    model = make_model("LA", 4)
    attention_weights(model, tokens(5, ends=[]))
    assert not any(mixer._forward_pre_hooks for mixer in model.mixers)
