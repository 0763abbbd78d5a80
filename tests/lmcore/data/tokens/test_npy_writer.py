"""An array written in pieces is the array that numpy would have written whole."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.tokens.npy_writer import NpyWriter

DTYPES = st.sampled_from(["<u2", "<u4", "<i8", "S64"]).map(np.dtype)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.integers(0, 65_535), max_size=5), max_size=5), DTYPES)
def test_pieces_are_byte_for_byte_what_numpy_saves_at_once(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[list[int]], dtype: np.dtype
) -> None:
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    arrays = [np.array(piece).astype(dtype) for piece in pieces]
    with NpyWriter(path, dtype) as writer:
        for array in arrays:
            writer.append(array)
    whole = np.concatenate([np.empty(0, dtype=dtype), *arrays])
    saved = io.BytesIO()
    np.save(saved, whole)
    assert path.read_bytes() == saved.getvalue()
    assert np.load(path, mmap_mode="r" if len(whole) else None).tolist() == whole.tolist()


def test_the_header_has_room_for_any_length(tmp_path: Path) -> None:
    dtype = np.dtype(np.uint8)
    with NpyWriter(tmp_path / "a.npy", dtype) as writer:
        for start in range(0, 100_000, 10_000):
            writer.append(np.full(10_000, start // 10_000, dtype=dtype))
    assert np.load(tmp_path / "a.npy").tolist() == np.repeat(np.arange(10), 10_000).tolist()


def test_a_file_that_exists_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(1000))
    with NpyWriter(path, np.dtype(np.uint16)) as writer:
        writer.append(np.array([7], dtype=np.uint16))
    assert np.load(path).tolist() == [7]


def test_an_interrupted_file_is_whole_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"

    def write() -> None:
        with NpyWriter(path, np.dtype(np.int64)) as writer:
            writer.append(np.array([1, 2]))
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write()
    assert np.load(path).tolist() == [1, 2]


def test_values_of_another_type_are_not_written(tmp_path: Path) -> None:
    with (
        NpyWriter(tmp_path / "a.npy", np.dtype(np.uint16)) as writer,
        pytest.raises(AssertionError),
    ):
        writer.append(np.array([1 << 20]))
    assert np.load(tmp_path / "a.npy").tolist() == []
