"""Which way of reading is true of a model, its answers decide."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
import numpy as np
import torch
from pretrained_models import KINDS, library_model, write_library_folder

from lmcore.model.pretrained import blockwise
from lmcore.model.pretrained.body import Body
from lmcore.model.pretrained.cache import CacheState
from lmcore.model.pretrained.library import library, load_inner
from lmcore.model.pretrained.windows import IntArray, Segment


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


def test_a_training_in_half_precision_reads_each_document_of_a_long_row_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = Body(load_inner(write_library_folder(tmp_path / "model")))
    plain, masks = blockwise.attend, []

    def attend(*given: Any, scale: float | None) -> torch.Tensor:
        masks.append(given[3] is not None)
        return plain(*given, scale=scale)

    monkeypatch.setattr(blockwise, "attend", attend)
    first, second, third = (
        np.arange(size) % 290 + 1 for size in (70, blockwise.BLOCK + 30, blockwise.BLOCK + 5)
    )

    def read(*texts: IntArray, half: bool = True) -> torch.Tensor:
        lane = [Segment(lane=0, column=0, tokens=x, repeated=0, past=0) for x in texts]
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            return body.read([lane], [texts[-1]], CacheState.fresh(1))[0][0]

    together = read(first, second, third)
    assert masks == [True] * 2  # of two layers
    assert torch.equal(read(first, third, second)[:70], together[:70])
    masks.clear()
    exact = read(first, second, third, half=False)
    assert not masks
    weights = body.inner.get_input_embeddings().weight
    pairs = [
        (together, exact),
        (read(second), exact[70 : -len(third)]),
        [torch.autograd.grad(x[:, 0].sum(), weights)[0] for x in (together, exact)],
    ]
    assert masks == [False] * 2
    for found, expected in pairs:
        assert (found - expected).norm() < 0.03 * expected.norm()
