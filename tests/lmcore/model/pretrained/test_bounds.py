"""Attention within segments that are told by their bounds."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pretrained_models import KINDS, make_base

from lmcore.model.pretrained.body import Body
from lmcore.model.pretrained.bounds import attend, bounds_of, given, in_half_precision
from lmcore.model.pretrained.library import load_inner

CPU = torch.device("cpu")
OWNERS = torch.tensor([[0, 0, 0, 1, 1], [2, 3, 3, 3, 3]])


def qkv(device: torch.device | str = CPU) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    shapes = ((2, 4, 5, 8), (2, 2, 5, 8), (2, 2, 5, 8))
    return [torch.randn(shape, generator=rng).to(device).requires_grad_() for shape in shapes]


def test_segments_end_with_their_row_and_empty_ones_follow_up_to_a_power_of_two() -> None:
    bounds = bounds_of(OWNERS, CPU)
    assert bounds.first.tolist() == [0, 3, 5, 6, 10, 10, 10, 10, 10]
    assert bounds.longest == 5


def test_a_model_hands_them_on_beside_a_mask_that_hides_all() -> None:
    bounds = bounds_of(OWNERS, CPU)
    options = bounds.options()
    assert not options["attention_mask"].any()
    assert given(options) == bounds
    assert given({}) is None


def test_a_token_reads_its_segment_up_to_itself() -> None:
    query, key, value = qkv()
    found = attend(query, key, value, bounds_of(OWNERS, CPU), scale=0.5)
    assert found.shape == (2, 5, 4, 8)
    # By hand: the last token of the first row sees the fourth and itself; head 3 reads key head 1.
    scores = 0.5 * (key[0, 1, 3:] @ query[0, 3, 4])
    expected = scores.softmax(0) @ value[0, 1, 3:]
    torch.testing.assert_close(found[0, 4, 3], expected)
    # Alone in its segment it reads itself.
    torch.testing.assert_close(found[1, 0, 0], value[1, 0, 0])


def test_a_processor_has_no_kernel_for_them() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not in_half_precision(CPU)


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_out_decides_whether_a_model_reads_by_bounds(kind: str, tmp_path: Path) -> None:
    body = Body(load_inner(make_base(tmp_path, kind).path))
    # Sliding windows need masks of their own, and recurrent layers take neither.
    assert body.bounded == (kind in ("llama", "gpt2", "qwen3"))


def test_a_model_that_does_not_hand_them_on_keeps_its_masks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = Body(load_inner(make_base(tmp_path).path))
    whole = body.states

    def forgets(ids: Any, cache: Any, **options: Any) -> Any:
        options.pop("cu_seq_lens_q", None)
        return whole(ids, cache, **options)

    monkeypatch.setattr(body, "states", forgets)
    assert body.packs
    assert not body.bounded


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")
def test_a_kernel_reads_what_a_mask_lets_through() -> None:
    answers = []
    for half in (True, False):
        parts = qkv("cuda")
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=half):
            assert in_half_precision(torch.device("cuda")) == half
            found = attend(*parts, bounds_of(OWNERS, torch.device("cuda")), scale=None)
        found.float().square().sum().backward()
        answers.append([found.float().detach(), *(part.grad for part in parts)])
    for by_kernel, by_mask in zip(*answers, strict=True):
        torch.testing.assert_close(by_kernel, by_mask, rtol=3e-2, atol=3e-2)
