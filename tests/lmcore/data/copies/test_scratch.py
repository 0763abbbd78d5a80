"""Small arrays are in memory, large ones on disk, and nobody finds a file."""

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from lmcore.data.copies.scratch import Growing, Scratch
from lmcore.errors import StorageError


def _records(start: int, count: int) -> np.ndarray:
    return np.arange(start, start + 2 * count, dtype=np.uint64).reshape(-1, 2)


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("memory", [1 << 20, 1 << 10])
def test_arrays_are_zero_and_keep_what_is_written(tmp_path: Path, memory: int) -> None:
    array = Scratch(tmp_path, memory=memory).array(1_000, np.int32)
    assert array.dtype == np.int32
    assert not array.any()
    array[::7] = np.arange(143)
    assert array[::7].tolist() == list(range(143))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="open files are counted on Linux only")
def test_a_large_array_is_a_file_until_it_is_gone(tmp_path: Path) -> None:
    scratch, before = Scratch(tmp_path, memory=1 << 10), _open_files()
    array = scratch.array(1_000, np.int32)
    assert _open_files() == before + 1
    del array
    assert _open_files() == before
    small = scratch.array(10, np.int32)
    assert _open_files() == before
    assert len(small) == 10


@pytest.mark.parametrize("memory", [1 << 20, 1 << 10])
def test_blocks_come_back_as_one_array(tmp_path: Path, memory: int) -> None:
    growing = Growing(Scratch(tmp_path, memory=memory), 2)
    for _ in range(2):  # it can be used again
        for start in range(0, 1_000, 10):
            block = _records(start, 5)
            growing.add(block)
            block[:] = 0  # it was copied
        assert growing.length == 500
        assert growing.take().ravel().tolist() == list(range(1_000))
        assert growing.length == 0
    assert growing.take().shape == (0, 2)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = Scratch(tmp_path, memory=1 << 10)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full, raising=False)
        with pytest.raises(StorageError, match=r"no space is left on its disk .*; make room there"):
            scratch.array(1_000, np.int64)

    monkeypatch.setattr("lmcore.data.copies.scratch.write", full)
    with pytest.raises(StorageError, match=f"^{tmp_path}: no space is left"):
        Growing(scratch, 2).add(_records(0, 1_000))


def test_room_is_reserved_before_an_array_is_mapped(tmp_path: Path) -> None:
    # A page of a mapped file for which there is no room ends the process without a word.
    program = """
        import resource, sys
        from pathlib import Path
        import numpy as np
        from lmcore.data.copies.scratch import Scratch
        from lmcore.errors import StorageError
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        try:
            Scratch(Path(sys.argv[1]), memory=1 << 10).array(1 << 20, np.int64)[:] = 1
        except StorageError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path}: it may not grow any further")


def test_without_a_system_that_reserves_zeros_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    array = Scratch(tmp_path, memory=1 << 10).array(300_000, np.int64)
    assert (array.shape, array.any()) == ((300_000,), False)


@pytest.mark.skipif(sys.platform != "linux", reason="open files are looked at on Linux only")
def test_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    program = """
        import os, signal, sys
        from pathlib import Path
        import numpy as np
        from lmcore.data.copies.scratch import Growing, Scratch
        scratch = Scratch(Path(sys.argv[1]), memory=1 << 10)
        array, growing = scratch.array(1 << 16, np.int64), Growing(scratch, 1)
        growing.add(np.zeros((1 << 16, 1), np.uint64))
        assert len(os.listdir("/proc/self/fd")) > 4
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == -9, done.stderr
    assert list(tmp_path.iterdir()) == []
