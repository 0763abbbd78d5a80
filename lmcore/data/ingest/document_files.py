"""The documents' files of a set, written column by column.

In: documents as tables.  Out: `documents-*.parquet`, the bytes that `RowWriter` writes row by row,
in a fraction of its time: a row group is cut where that would cut it, and no document becomes an
object of Python.  A thread compresses one row group while the next is read; a few are in memory.

Who writes says where a file ends, and adds files that are there (`writing_pass`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lmcore.data.documents import FILE_BYTES, ROW_GROUP_BYTES, SCHEMA
from lmcore.linking import link_or_copy
from lmcore.worker_thread import WorkerThread

_STEM = "documents"
# What `RowWriter` adds to the bytes of each row.
_ROW_BYTES = 500


class DocumentFiles:
    """Writes a set of documents into a folder.

    Args:
        folder: Of the set that is being made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = WorkerThread()
        self._group: list[pa.Table] = []
        self._group_bytes = self._file_bytes = 0
        self._num_files = 0
        self._names: list[str] = []
        self._writer: pq.ParquetWriter | None = None

    def add(self, documents: pa.Table, sizes: NDArray[np.int64]) -> None:
        """Append documents.

        Args:
            documents: Of the schema of a set of documents.
            sizes: Bytes that each holds in memory, about, shape [N].
        """
        held = np.cumsum(sizes + _ROW_BYTES)
        start = taken = 0
        while start < len(held):
            # The row that fills the group is its last one.
            full = int(np.searchsorted(held, taken + ROW_GROUP_BYTES - self._group_bytes))
            stop = min(full + 1, len(held))
            self._group.append(documents.slice(start, stop - start))
            self._group_bytes += int(held[stop - 1]) - taken
            start, taken = stop, int(held[stop - 1])
            if self._group_bytes >= ROW_GROUP_BYTES:
                self._flush()

    def end_file(self, names: Callable[[list[str]], object]) -> None:
        """Let what comes next begin a file.

        Args:
            names: Told the names of all files since the last end of one; by another thread.
        """
        self._flush()
        self._thread.hand_over(self._end, names)

    def link(self, files: Sequence[Path], names: Callable[[list[str]], object]) -> None:
        """Add finished files behind those that are there, which ended with `end_file`.

        Args:
            files: Of documents.
            names: Told what they are called here; by another thread.
        """
        self._thread.hand_over(self._link, files, names)

    def close(self) -> None:
        """Write what is left."""
        with contextlib.ExitStack() as ending:
            ending.callback(self._close_file)
            ending.callback(self._thread.close)
            self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        if failed:
            self._group = []  # the folder is thrown away
        self.close()

    def _flush(self) -> None:
        if not self._group:
            return
        group = pa.concat_tables(self._group).combine_chunks()
        self._thread.hand_over(self._write, group, self._group_bytes)
        self._group, self._group_bytes = [], 0

    def _write(self, group: pa.Table, num_bytes: int) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._next(), SCHEMA, compression="zstd")
        self._writer.write_table(group)
        self._file_bytes += num_bytes
        if self._file_bytes >= FILE_BYTES:
            self._close_file()

    def _next(self) -> Path:
        name = f"{_STEM}-{self._num_files:05d}.parquet"
        self._num_files += 1
        self._names.append(name)
        return self._folder / name

    def _end(self, names: Callable[[list[str]], object]) -> None:
        self._close_file()
        names(self._names)
        self._names = []

    def _link(self, files: Sequence[Path], names: Callable[[list[str]], object]) -> None:
        for file in files:
            link_or_copy(file, self._next())
        self._end(names)

    def _close_file(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer, self._file_bytes = None, 0


def memory_of(texts: pa.Table) -> NDArray[np.int64]:
    """Bytes that each text holds in memory with its target, about, shape [N]."""
    targets = pc.fill_null(pc.utf8_length(texts["target"]), 0)
    return np.asarray(pc.add(texts["num_bytes"], targets).to_numpy(), dtype=np.int64)
