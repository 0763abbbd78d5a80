"""Columns of staged texts in files: written block by block, read as mapped arrays.

What the system holds of a mapped file in memory it may drop whenever memory is asked for, so a
column costs none, however long it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lmcore.data.copies.scratch import write
from lmcore.durable import storing

_BLOCK = 1 << 16
Mask = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
# The two characters of each byte, as they lie in memory.
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), dtype=np.uint16)


class Column:
    """Numbers of one kind, one or several a row.

    Args:
        path: Of the file, which is made.
        dtype: Of a number.
        width: Numbers of a row; 0: one, and the array has one dimension.
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike, *, width: int = 0) -> None:
        self._path, self._dtype, self._width = path, np.dtype(dtype), width
        with storing(path):
            self._file = path.open("wb", buffering=0)

    def append(self, block: npt.NDArray[Any]) -> None:
        """Write rows behind the others, shape [rows] or [rows, width].

        Raises:
            StorageError: If the disk is full or fails.
        """
        if not len(block):
            return
        with storing(self._path):
            write(self._file, np.ascontiguousarray(block, dtype=self._dtype))

    def array(self) -> npt.NDArray[Any]:
        """All rows that were written, as a mapped array that may be written to."""
        with storing(self._path):
            if self._path.stat().st_size == 0:
                return np.zeros((0, self._width) if self._width else 0, dtype=self._dtype)
            found = np.asarray(np.memmap(self._path, dtype=self._dtype, mode="r+"))
            return found.reshape(-1, self._width) if self._width else found

    def keep(self, stays: Mask) -> None:
        """Drop rows.

        Args:
            stays: For each row whether it is kept.

        Raises:
            StorageError: If the disk is full or fails.
        """
        rows = self.array()
        self.close()
        # Who has it mapped keeps what it was.
        self._path.unlink()
        with storing(self._path):
            self._file = self._path.open("wb", buffering=0)
        for block in blocks(len(rows)):
            self.append(rows[block][stays[block]])

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def blocks(rows: int) -> Iterator[slice]:
    """All rows, some at a time, so that what is computed of them takes little memory."""
    for start in range(0, rows, _BLOCK):
        yield slice(start, min(start + _BLOCK, rows))


def first_words(values: Bytes) -> npt.NDArray[np.uint64]:
    """The first eight bytes of each value as a number that is ordered as the bytes are."""
    return np.ascontiguousarray(values[:, :8]).view(">u8").reshape(-1).astype(np.uint64)


def hex_strings(values: Bytes) -> pa.Array:
    """Bytes as text in hexadecimal, shape [rows, width]; as `bytes.hex` of each row."""
    rows, width = values.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(2 * width)
    text = np.ascontiguousarray(_HEX[values])
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(text))


def fixed_bytes(column: pa.ChunkedArray, width: int) -> Bytes:
    """A column of bytes strings, each so many bytes, as an array of shape [rows, width]."""
    found, _ = joined_bytes(column)
    return found.reshape(len(column), width)


def joined_bytes(column: pa.ChunkedArray) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """A column of strings as one array of bytes, and the length of each; 0 where it is null."""
    data, lengths = [np.zeros(0, np.uint8)], [np.zeros(0, np.int64)]
    for chunk in column.cast(pa.large_binary()).chunks:
        if len(chunk):
            _, offsets, values = chunk.buffers()
            ends = np.frombuffer(offsets, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
            lengths.append(np.diff(ends))
            if values is not None:
                data.append(np.frombuffer(values, np.uint8)[ends[0] : ends[-1]])
    return np.concatenate(data), np.concatenate(lengths)
