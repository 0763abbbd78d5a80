"""A `.npy` file that is written piece by piece, in memory that does not grow with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt


class NpyWriter:
    """Append to a one-dimensional `.npy` file whose length is known only at the end.

    numpy pads the header for the growth of the first axis, so it can be rewritten in place.

    Args:
        path: The file; one that exists is replaced.
        dtype: Of its values.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self._path = path
        self._dtype = dtype
        self._length = 0
        self._stream: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._stream = self._path.open("wb")
        self._header()
        return self

    def append(self, values: npt.NDArray[Any]) -> None:
        """Write values behind those that are there."""
        assert self._stream is not None
        assert values.dtype == self._dtype
        self._stream.write(values.tobytes())
        self._length += len(values)

    def __exit__(self, *_: object) -> None:
        if self._stream is None:
            return
        self._stream.seek(0)
        self._header()
        self._stream.close()
        self._stream = None

    def _header(self) -> None:
        assert self._stream is not None
        np.lib.format.write_array_header_1_0(
            self._stream,
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self._length,),
            },
        )
