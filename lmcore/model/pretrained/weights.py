"""Weights in safetensors files: what their heads say, and many files written as one.

In: the files of a model.  Out: one file with the same tensors, names and types, byte for byte;
memory is bounded by one tensor, whatever the model's size.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lmcore.errors import SourceError

#: Bytes of a number by stored type: those that are read as they are.
FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
#: Masks and places that old files carry and no library reads; no weights.
_OTHERS = {"BOOL": 1, "U8": 1, "I64": 8}
_BYTES = {**FLOATS, **_OTHERS}
#: Layouts that are not the library's own: their matrices stand the other way round.
_FOREIGN = ("tf", "flax")
_PIECE = 1 << 24
_MOST_TENSORS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A tensor that a file holds.

    Attributes:
        path: Of the file.
        shape: Its sizes.
        kind: How its numbers are written, as safetensors calls it.
    """

    path: Path
    shape: tuple[int, ...]
    kind: str

    @property
    def num_numbers(self) -> int:
        """Numbers in it."""
        total = 1
        for size in self.shape:
            total *= size
        return total

    @property
    def num_bytes(self) -> int:
        """Bytes of them."""
        return self.num_numbers * _BYTES[self.kind]


def read_heads(paths: Iterable[Path]) -> dict[str, StoredTensor]:
    """What files hold, by name.

    Raises:
        SourceError: If one is damaged, quantized, or holds what another holds.
    """
    found: dict[str, StoredTensor] = {}
    for path in paths:
        with _opened(path) as stored:
            form = (stored.metadata() or {}).get("format")
            if form in _FOREIGN:
                raise SourceError(
                    f"{path}: written for {form}; take the model's files for PyTorch instead"
                )
            for name in stored.keys():  # noqa: SIM118 (not a mapping)
                part = stored.get_slice(name)
                kind, shape = str(part.get_dtype()), tuple(part.get_shape())
                if kind not in _BYTES or (kind not in FLOATS and name.endswith("weight")):
                    raise SourceError(
                        f"{path}: {name} is stored as {kind}; expected float32, float16 or"
                        " bfloat16. Take the unquantized model or a GGUF file"
                    )
                if name in found:
                    raise SourceError(f"{path}: {name} is in {found[name].path.name} as well")
                found[name] = StoredTensor(path=path, shape=shape, kind=kind)
                if len(found) > _MOST_TENSORS:
                    raise SourceError(f"{path}: more than {_MOST_TENSORS:,} tensors")
    return found


def join(tensors: Mapping[str, StoredTensor], target: Path) -> None:
    """Write all tensors into one file.

    Raises:
        SourceError: If a number is none, or a file can no longer be read.
    """
    # Wide numbers first, so that each begins where a processor reads it in one go.
    order = sorted(tensors, key=lambda name: (-_BYTES[tensors[name].kind], name))
    head: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in order:
        tensor = tensors[name]
        begin, end = end, end + tensor.num_bytes
        head[name] = {
            "dtype": tensor.kind,
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    written = json.dumps(head, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 8)
    with contextlib.ExitStack() as stack, target.open("wb") as stream:
        opened = {
            path: stack.enter_context(_opened(path)) for path in {t.path for t in tensors.values()}
        }
        stream.write(len(written).to_bytes(8, "little") + written)
        for name in order:
            path = tensors[name].path
            for piece in _pieces(opened[path].get_tensor(name)):
                if piece.is_floating_point() and not bool(torch.isfinite(piece).all()):
                    raise SourceError(
                        f"{path}: {name} holds values that are no numbers; take another copy"
                    )
                stream.write(piece.view(torch.uint8).numpy().data)
        stream.flush()
        os.fsync(stream.fileno())


def _pieces(tensor: Tensor) -> Iterator[Tensor]:
    flat = tensor.contiguous().reshape(-1)
    return (flat[begin : begin + _PIECE] for begin in range(0, len(flat), _PIECE))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        opened = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error
    try:
        with opened as stored:
            yield stored
    except SafetensorError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> SourceError:
    reason = str(error).splitlines()[0][:200]
    return SourceError(f"{path}: not a safetensors file that can be read ({reason}); restore it")
