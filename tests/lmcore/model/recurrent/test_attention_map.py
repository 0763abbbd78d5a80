"""The shares that are shown are those that the model computes with."""

import torch
from torch import Tensor

from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM

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


def test_a_row_sums_to_one_and_sees_its_own_document_and_window_only() -> None:
    model = make_model("LAA", 3)
    given = tokens(9, ends=[4])
    layers = model.attention_weights(given)
    assert [tuple(shares.shape) for shares in layers] == [(2, 2, 9, 9)] * 2
    for shares in layers:
        torch.testing.assert_close(shares.sum(-1), torch.ones(2, 2, 9))
        reader, word = torch.meshgrid(torch.arange(9), torch.arange(9), indexing="ij")
        hidden = (word > reader) | (reader - word > 3)
        assert not shares[:, :, hidden].any()
        assert not shares[0, :, 4:, :4].any()
        assert shares[1, :, 4, 3].all()


def test_a_pattern_without_attention_has_no_map_and_no_hook_stays() -> None:
    assert make_model("LR", 4).attention_weights(tokens(5, ends=[])) == []
    model = make_model("LA", 4)
    model.attention_weights(tokens(5, ends=[]))
    assert not any(mixer._forward_pre_hooks for mixer in model.mixers)
