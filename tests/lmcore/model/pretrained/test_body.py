"""Which way of reading is true of a model, its answers decide."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers")
import torch
from pretrained_models import KINDS, library_model

from lmcore.model.pretrained.body import Body
from lmcore.model.pretrained.library import library


@pytest.mark.parametrize("kind", KINDS)
def test_attention_packs_and_a_recurrence_does_not(kind: str) -> None:
    body = Body(library_model(kind, 300))
    assert (body.packs, body.steps) == (kind != "mamba", True)


def test_a_model_that_ignores_its_mask_is_read_apart() -> None:
    inner = library_model("llama", 300)
    plain = inner.model.forward

    def deaf(*args: object, attention_mask: object = None, **options: object) -> object:
        return plain(*args, **options)

    inner.model.forward = deaf
    with library():
        assert not Body(inner).packs


def test_shares_sum_to_one_and_stay_in_their_document() -> None:
    body = Body(library_model("llama", 300))
    ids = torch.tensor([[0, 5, 6, 0, 7, 8, 9]])
    layers = body.attention(ids, end_id=0)
    assert [tuple(shares.shape) for shares in layers] == [(1, 4, 7, 7)] * 2
    for shares in layers:
        torch.testing.assert_close(shares.sum(-1), torch.ones(1, 4, 7))
        assert not shares[:, :, 3:, :3].any()
        assert not shares.triu(1).any()
    assert body.inner.config._attn_implementation == "sdpa"
