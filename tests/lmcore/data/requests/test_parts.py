"""A folder of sealed parts: what is seen is whole, whatever happens to who writes it."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lmcore.data.requests.lines import Asked, written
from lmcore.data.requests.parts import (
    PartWriter,
    expire,
    is_damaged,
    parts,
    read_lines,
    recover,
    seal_now,
    strike,
)

DAY = 86_400.0
NOON = 1_795_867_200.0  # 2026-11-28 12:00 UTC


def asked(text: str) -> Asked:
    return Asked(
        id="a",
        index=0,
        at="2026-11-28T12:00:00+00:00",
        client="shop",
        version=1,
        task="language_modelling",
        text=text,
    )


def texts(folder: Path) -> list[str]:
    return [line.text for line in read_lines(folder) if isinstance(line, Asked)]


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


def test_a_part_is_seen_when_it_is_sealed(tmp_path: Path) -> None:
    folder, clock = tmp_path / "asked", Clock()
    writer = PartWriter(folder, seal_seconds=600, now=clock)
    assert not folder.exists()
    assert writer.add(asked("one"))
    writer.flush()
    assert writer.seal_if_due() is None
    assert parts(folder) == []
    clock.now += 600
    sealed = writer.seal_if_due()
    assert sealed is not None
    assert sealed.name.startswith("20261128T121000Z-")
    assert texts(folder) == ["one"]
    assert writer.seal() is None
    writer.add(asked("two"))
    writer.seal()
    assert texts(folder) == ["one", "two"]


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "speeches" / "asked"
    writer = PartWriter(folder)
    writer.add(asked("one"))
    sealed = writer.seal()
    assert sealed is not None
    assert stat.S_IMODE(sealed.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_large_part_is_sealed_and_a_full_folder_takes_no_more(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path, seal_bytes=300, most_bytes=1000)
    taken = 0
    while writer.add(asked(f"{taken:050}")):
        taken += 1
        writer.seal_if_due()
    writer.seal()
    assert len(texts(tmp_path)) == taken
    assert len(parts(tmp_path)) > 1
    assert sum(path.stat().st_size for path in parts(tmp_path)) <= 1000
    assert writer.dropped == 1
    # A successor knows what is there.
    assert not PartWriter(tmp_path, most_bytes=1000).add(asked("x" * 50))


def test_what_a_killed_process_left_is_sealed_without_its_half_line(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path\n"
        "from lmcore.data.requests.lines import Asked\n"
        "from lmcore.data.requests.parts import PartWriter\n"
        "w = PartWriter(Path(sys.argv[1]))\n"
        "for i in range(3): w.add(Asked(id='a', index=i, at='t', client='c', version=1,"
        " task='x', text=str(i)))\n"
        'w.flush(); w._stream.write(b\'{"kind": "ask\'); w._stream.flush()\n'
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert parts(tmp_path) == []
    assert len(recover(tmp_path)) == 1
    assert texts(tmp_path) == ["0", "1", "2"]
    assert recover(tmp_path) == []


def test_what_is_being_written_is_left_alone(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path)
    writer.add(asked("one"))
    writer.flush()
    assert recover(tmp_path) == []
    writer.add(asked("two"))
    writer.seal()
    assert texts(tmp_path) == ["one", "two"]


def test_after_a_full_disk_lines_before_and_after_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = PartWriter(tmp_path)
    writer.add(asked("one"))
    writer.flush()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        writer.add(asked("two"))
        with pytest.raises(OSError, match="No space"):
            writer.flush()
    writer.add(asked("three"))
    writer.seal()
    recover(tmp_path)
    assert sorted(texts(tmp_path)) == ["one", "three", "two"]


def test_damage_is_told_and_passed_over(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path)
    for text in ("one", "two"):
        writer.add(asked(text))
        writer.seal()
    first = parts(tmp_path)[0]
    held = texts(tmp_path)
    raw = bytearray(first.read_bytes())
    raw[10] ^= 1
    first.write_bytes(raw)
    told: list[Path] = []
    left = list(read_lines(tmp_path, on_damaged=told.append))
    assert told == [first]
    assert [line.text for line in left if isinstance(line, Asked)] == held[1:]
    assert is_damaged("notes.txt", "0" * 64)


def test_old_parts_go(tmp_path: Path) -> None:
    clock = Clock()
    writer = PartWriter(tmp_path, now=clock)
    for text in ("old", "new"):
        writer.add(asked(text))
        writer.seal()
        clock.now += 20 * DAY
    assert writer.expire(30) == 1
    assert texts(tmp_path) == ["new"]
    assert expire(tmp_path, keep_days=30, now=clock.now) == 0
    assert expire(tmp_path / "none", keep_days=1) == 0


def test_lines_are_struck_for_good(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path)
    for group in (("keep", "gone"), ("gone",), ("stay",)):
        for text in group:
            writer.add(asked(text))
        writer.seal()
    assert strike(tmp_path, lambda line: isinstance(line, Asked) and line.text == "gone") == 2
    assert sorted(texts(tmp_path)) == ["keep", "stay"]
    assert all(b"gone" not in path.read_bytes() for path in tmp_path.iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in parts(tmp_path)} == {0o600}
    assert strike(tmp_path, lambda line: False) == 0


def test_damage_is_not_made_whole_by_striking(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path)
    for text in ("gone", "stay"):
        writer.add(asked(text))
    sealed = writer.seal()
    assert sealed is not None
    sealed.write_bytes(sealed.read_bytes().replace(b"stay", b"lies"))
    assert strike(tmp_path, lambda line: isinstance(line, Asked) and line.text == "gone") == 0
    assert parts(tmp_path) == []


def test_who_waits_for_a_part_that_is_written_has_it_sealed(tmp_path: Path) -> None:
    assert seal_now(tmp_path / "none", seconds=0.0)
    writer = PartWriter(tmp_path)
    writer.add(asked("now"))
    assert not seal_now(tmp_path, seconds=0.0)
    assert writer.seal_if_due() is None
    found: list[bool] = []
    waiting = threading.Thread(target=lambda: found.append(seal_now(tmp_path, seconds=60.0)))
    waiting.start()
    while writer.seal_if_due() is None:
        writer.flush()
    waiting.join()
    assert found == [True]
    assert texts(tmp_path) == ["now"]
    assert [path.name for path in tmp_path.iterdir()] == [path.name for path in parts(tmp_path)]


def test_what_a_killed_server_left_needs_nobody_to_be_sealed(tmp_path: Path) -> None:
    (tmp_path / ".open-killed").write_bytes(written(asked("whole")) + b'{"half": ')
    assert seal_now(tmp_path, seconds=0.0)
    assert texts(tmp_path) == ["whole"]
