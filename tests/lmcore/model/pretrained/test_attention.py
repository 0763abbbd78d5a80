"""Which way of attention is taken, and that each reads what the others do."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
import numpy as np
import torch
from pretrained_models import write_library_folder

from lmcore.model.pretrained import blockwise
from lmcore.model.pretrained.body import Body
from lmcore.model.pretrained.cache import CacheState
from lmcore.model.pretrained.library import load_inner
from lmcore.model.pretrained.windows import IntArray, Segment


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
