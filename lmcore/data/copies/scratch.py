"""Arrays that may outgrow memory, on disk then: what clustering very many texts works on.

In: a folder, and how much memory may be used.  Out: arrays that are in memory while they are small
and in files of the folder when they are not.  Such a file has no name, so whoever is killed leaves
nothing, and it is gone with its last array.  What the system holds of a file in memory it may drop
whenever memory is asked for.

A disk that is full is one sentence (`lmcore.durable.storing`): room is reserved before an array is
mapped, as writing to a mapped page for which there is no room would end the process.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lmcore.durable import storing

#: Bytes that clustering may hold, however many texts there are: those of some six million.
MEMORY = 256 << 20
# An array that takes more than this part of the memory is put on disk.
_PART = 8
_ZEROS = bytes(1 << 20)

Records = npt.NDArray[np.uint64]


class Scratch:
    """Where clustering keeps what it works on.

    Args:
        folder: Of the files; it must be there.
        memory: Bytes that may be held in memory, about.
        cache: Bytes of mapped files that the system will keep in memory; None: half of what the
            machine has.
    """

    def __init__(self, folder: Path, *, memory: int = MEMORY, cache: int | None = None) -> None:
        self.folder, self.memory = folder, memory
        self._cache = _machine() // 2 if cache is None else cache

    def fits(self, num_bytes: int) -> bool:
        """Whether an array of this size stays in memory."""
        return num_bytes <= self.memory // _PART

    def keeps(self, num_bytes: int) -> bool:
        """Whether a mapped file of this size stays in memory, so that it may be read anywhere."""
        return num_bytes <= self._cache

    def array(self, length: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Zeros, shape [length].

        Raises:
            StorageError: If the disk is full or fails.
        """
        num_bytes = length * np.dtype(dtype).itemsize
        if self.fits(num_bytes):
            return np.zeros(length, dtype=dtype)
        with storing(self.folder), tempfile.TemporaryFile(dir=self.folder, buffering=0) as file:
            _reserve(file, num_bytes)
            return np.asarray(np.memmap(file, dtype=dtype, mode="r+", shape=(length,)))


class RecordFile:
    """Records on disk, in a file without a name.

    Args:
        folder: Of the file.
        columns: Numbers of a record.

    Raises:
        StorageError: If the disk is full or fails.
    """

    def __init__(self, folder: Path, columns: int) -> None:
        self._folder, self._columns = folder, columns
        with storing(folder):
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115

    def __del__(self) -> None:
        # Whoever meets an error, or stops half-way, leaves its files to this.
        if hasattr(self, "_file"):
            self._file.close()

    def append(self, block: Records) -> None:
        """Write records behind the others, shape [records, columns].

        Raises:
            StorageError: If the disk is full or fails.
        """
        with storing(self._folder):
            write(self._file, block)

    def records(self) -> Records:
        """All of them, of one at least, as a mapped file that outlives this."""
        found = np.memmap(self._file, dtype=np.uint64, mode="r")
        return np.asarray(found).reshape(-1, self._columns)


class Growing:
    """Records that come in blocks and are wanted as one array.

    Args:
        scratch: Where they are kept.
        columns: Numbers of a record.
    """

    def __init__(self, scratch: Scratch, columns: int) -> None:
        self._scratch, self._columns = scratch, columns
        self._blocks: list[Records] = []
        self._file: RecordFile | None = None
        self._held = 0
        self.length = 0

    def add(self, block: Records) -> None:
        """Append records, shape [records, columns]; they are copied.

        Raises:
            StorageError: If the disk is full or fails.
        """
        if not len(block):
            return
        self._blocks.append(block.copy())
        self._held += block.nbytes
        self.length += len(block)
        if not self._scratch.fits(self._held):
            self._spill()

    def _spill(self) -> None:
        if self._file is None:
            self._file = RecordFile(self._scratch.folder, self._columns)
        for block in self._blocks:
            self._file.append(block)
        self._blocks, self._held = [], 0

    def take(self) -> Records:
        """All of them, shape [records, columns]; nothing is left here."""
        if self._file is None:
            empty = np.zeros((0, self._columns), dtype=np.uint64)
            found = np.concatenate([empty, *self._blocks])
        else:
            self._spill()
            found = self._file.records()
        self._blocks, self._file, self._held, self.length = [], None, 0, 0
        return found


def write(file: IO[bytes], block: Records) -> None:
    """Append records to a file without a buffer, which may take less than all at once."""
    rest = memoryview(np.ascontiguousarray(block).data).cast("B")
    while rest:
        rest = rest[file.write(rest) :]


def _machine() -> int:
    """Bytes of memory of this machine, or of the container that this is in."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # no such system, or no limit ("max")
        found = min(found, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return found


def _reserve(file: IO[bytes], num_bytes: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, num_bytes)
        return
    left = num_bytes
    while left:
        left -= file.write(_ZEROS[: min(left, len(_ZEROS))])
