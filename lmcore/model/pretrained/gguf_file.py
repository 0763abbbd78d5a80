"""The head of a GGUF file, read with bounds: what it says of itself, before a library believes it.

The library that reads such files makes an object of each entry and goes on for as long as a count
says.  So a file is first walked here, in memory that its own size bounds, and a count, a length or
a place that lies is one sentence.

Layout (version 2 and 3, little-endian; the GGUF specification of the ggml project): magic, version,
number of tensors, number of entries; entries (name, type, value); tensors (name, sizes, type,
place); padding; data.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lmcore.errors import SourceError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MOST_TENSORS = 100_000
_MOST_ENTRIES = 10_000
#: Of all arrays together; a vocabulary of a quarter million tokens and its merges have 1.3 million.
_MOST_ELEMENTS = 4_000_000
_LONGEST_TEXT = 4 << 20
_MOST_SIZES = 4
_ALIGNMENT = 32
#: Types of values: format of `struct`.
_NUMBERS = {
    **{0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?"},
    **{10: "Q", 11: "q", 12: "d"},
}
_TEXT, _ARRAY = 8, 9


@dataclass(frozen=True, kw_only=True)
class GgufHead:
    """What the head of a file says.

    Attributes:
        facts: Numbers and texts by name; lists are left out.
        sizes: Of each tensor, by its name in this format.
    """

    facts: Mapping[str, str | int | float | bool]
    sizes: Mapping[str, tuple[int, ...]]

    @property
    def architecture(self) -> str:
        """As this format calls it; empty where it is not said."""
        return str(self.facts.get("general.architecture", ""))

    @property
    def num_numbers(self) -> int:
        """Numbers that the tensors hold together."""
        return sum(product(sizes) for sizes in self.sizes.values())


def product(sizes: tuple[int, ...]) -> int:
    """Numbers in a tensor."""
    total = 1
    for size in sizes:
        total *= size
    return total


def read_head(path: Path) -> GgufHead:
    """Walk the head of a file.

    Raises:
        SourceError: If it is no such file, or one that lies or was cut off.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            return _Walk(stream, size).head()
    except (struct.error, ValueError, UnicodeDecodeError, OverflowError) as error:
        reason = "it ends too early" if isinstance(error, struct.error) else str(error)[:200]
        raise SourceError(
            f"{path}: not a GGUF file that can be read ({reason}); take another copy"
        ) from error


class _Walk:
    """Reads a head from its beginning."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream = stream
        self.size = size
        self.elements = 0

    def head(self) -> GgufHead:
        """All of it, checked."""
        if self.stream.read(4) != _MAGIC:
            raise ValueError("it does not begin with GGUF")
        version = self.number("I")
        if version not in _VERSIONS:
            raise ValueError(f"version {version}; versions 2 and 3, little-endian, are read")
        num_tensors, num_entries = int(self.number("Q")), int(self.number("Q"))
        if num_tensors > _MOST_TENSORS or num_entries > _MOST_ENTRIES:
            raise ValueError(f"{num_tensors:,} tensors and {num_entries:,} entries")
        facts: dict[str, str | int | float | bool] = {}
        names: set[str] = set()
        for _ in range(num_entries):
            name = self.text()
            if name in names:
                raise ValueError(f"two entries {name[:100]!r}")
            names.add(name)
            value = self.value(int(self.number("I")))
            if value is not None:
                facts[name] = value
        sizes: dict[str, tuple[int, ...]] = {}
        ends: list[int] = []
        for _ in range(num_tensors):
            name = self.text()
            if name in sizes:
                raise ValueError(f"two tensors {name[:100]!r}")
            sizes[name], end = self.tensor(name)
            ends.append(end)
        step = facts.get("general.alignment", _ALIGNMENT)
        if not isinstance(step, int) or not 0 < step <= 1 << 20:
            raise ValueError(f"an alignment of {step}")
        begin = -(-self.stream.tell() // step) * step
        if begin + max(ends, default=0) > self.size:
            raise ValueError(
                f"{self.size:,} bytes, but its tensors end at {begin + max(ends):,}: it was cut off"
            )
        return GgufHead(facts=facts, sizes=sizes)

    def tensor(self, name: str) -> tuple[tuple[int, ...], int]:
        """Sizes of a tensor, and where it ends behind the beginning of the data."""
        import gguf

        num_sizes = int(self.number("I"))
        if not 0 < num_sizes <= _MOST_SIZES:
            raise ValueError(f"{name[:100]}: {num_sizes} dimensions")
        sizes = tuple(int(self.number("Q")) for _ in range(num_sizes))
        kind, place = int(self.number("I")), int(self.number("Q"))
        block, num_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]
        end = place + product(sizes) // block * num_bytes
        # Each number has at least a bit.
        if product(sizes) > 8 * self.size or end > self.size:
            raise ValueError(f"{name[:100]}: {sizes} does not fit into {self.size:,} bytes")
        return sizes, end

    def value(self, kind: int) -> str | int | float | bool | None:
        """A value; None for a list, which is walked over."""
        if kind == _TEXT:
            return self.text()
        if kind != _ARRAY:
            return self.number(self._format(kind))
        inner, count = int(self.number("I")), int(self.number("Q"))
        self.elements += count
        if self.elements > _MOST_ELEMENTS:
            raise ValueError(f"lists of {self.elements:,} elements")
        if inner == _TEXT:
            for _ in range(count):
                self.skip(self.length())
        elif inner == _ARRAY:
            raise ValueError("a list of lists")
        else:
            self.skip(count * struct.calcsize(self._format(inner)))
        return None

    def _format(self, kind: int) -> str:
        if kind not in _NUMBERS:
            raise ValueError(f"a value of the unknown type {kind}")
        return _NUMBERS[kind]

    def number(self, format_: str) -> int | float | bool:
        """One number."""
        packed = struct.Struct(f"<{format_}")
        found: int | float | bool = packed.unpack(self.stream.read(packed.size))[0]
        return found

    def length(self) -> int:
        """Of a text, in bytes."""
        length = int(self.number("Q"))
        if length > _LONGEST_TEXT:
            raise ValueError(f"a text of {length:,} bytes")
        return length

    def text(self) -> str:
        """One text."""
        length = self.length()
        found = self.stream.read(length)
        if len(found) < length:
            raise ValueError("it ends too early")
        return found.decode()

    def skip(self, length: int) -> None:
        """Go on behind some bytes."""
        if self.stream.seek(length, 1) > self.size:
            raise ValueError("it ends too early")
