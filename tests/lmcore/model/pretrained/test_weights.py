"""Weights are joined without a change, and no file gets away with what is none."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from lmcore.errors import SourceError
from lmcore.model.pretrained import weights as module
from lmcore.model.pretrained.weights import join, read_heads

KINDS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.int64)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shapes=st.lists(
        st.tuples(st.lists(st.integers(0, 4), max_size=3), st.sampled_from(KINDS)), max_size=8
    ),
    piece=st.integers(1, 9),
)
def test_one_file_holds_what_many_held(
    tmp_path: Path, shapes: list[tuple[list[int], torch.dtype]], piece: int
) -> None:
    wanted = {
        f"t{i}": (torch.arange(torch.Size(shape).numel()) % 3).to(kind).reshape(shape)
        for i, (shape, kind) in enumerate(shapes)
    }
    names = list(wanted)
    paths = [tmp_path / f"part{number}.safetensors" for number in range(3)]
    for number, path in enumerate(paths):
        save_file({n: wanted[n] for n in names[number::3]}, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        join(read_heads(paths), tmp_path / "whole")
    found = load_file(tmp_path / "whole")
    assert sorted(found) == sorted(names)
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_numbers_are_counted(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3, 5, dtype=torch.float16)}, tmp_path / "a")
    tensor = read_heads([tmp_path / "a"])["a"]
    assert (tensor.num_numbers, tensor.num_bytes, tensor.kind) == (15, 30, "F16")


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_number_that_is_none_is_found_wherever_it_stands(tmp_path: Path, value: float) -> None:
    tensor = torch.zeros(4, 50, dtype=torch.bfloat16)
    tensor[3, 49] = value
    save_file({"good": torch.zeros(2), "bad": tensor}, tmp_path / "a")
    with pytest.raises(SourceError, match="bad holds values that are no numbers"):
        join(read_heads([tmp_path / "a"]), tmp_path / "whole")


def test_the_same_tensor_twice_or_in_another_layout(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_file({"same": torch.zeros(2)}, tmp_path / name)
    with pytest.raises(SourceError, match="b: same is in a as well"):
        read_heads([tmp_path / "a", tmp_path / "b"])
    save_file({"same": torch.zeros(2)}, tmp_path / "a", metadata={"format": "flax"})
    with pytest.raises(SourceError, match="written for flax"):
        read_heads([tmp_path / "a"])


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.float8_e4m3fn, torch.bool])
def test_what_is_quantized_is_no_weight(tmp_path: Path, kind: torch.dtype) -> None:
    save_file({"h.weight": torch.zeros(2, 2).to(kind)}, tmp_path / "a")
    with pytest.raises(SourceError, match=r"h\.weight is stored as"):
        read_heads([tmp_path / "a"])
