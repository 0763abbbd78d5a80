"""Files are hashed again where, and only where, one of them may hold something else."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.steps import source_fingerprint
from flows.steps.source_fingerprint import fingerprint_once
from lmcore.data.config import SourceConfig
from lmcore.data.sources.located import SourceFingerprint, fingerprint_sources

Hashed = Callable[[], int]


@pytest.fixture
def source(tmp_path: Path) -> SourceConfig:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("first")
    (folder / "b.txt").write_text("second")
    return SourceConfig(path=str(folder), license="CC0-1.0")


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Hashed:
    """How often all was hashed; files are at rest at once."""
    count = []

    def counted(sources: list[SourceConfig]) -> SourceFingerprint:
        count.append(1)
        return fingerprint_sources(sources)

    monkeypatch.setattr(source_fingerprint, "fingerprint_sources", counted)
    monkeypatch.setattr(source_fingerprint, "_TICK_SECONDS", -60.0)
    monkeypatch.setattr(source_fingerprint, "_known", {})
    return lambda: len(count)


def test_what_did_not_change_is_hashed_once(source: SourceConfig, hashed: Hashed) -> None:
    first = fingerprint_once([source])
    assert fingerprint_once([source]) == first == fingerprint_sources([source])
    assert hashed() == 1
    # Another choice of the same files is another question.
    fingerprint_once([source.model_copy(update={"files": "a.txt"})])
    assert hashed() == 2


def rewrite(folder: Path) -> None:
    """As long as before, and dated back: only the time of the change of state tells."""
    file = folder / "a.txt"
    state = file.stat()
    with file.open("r+") as stream:
        stream.write("fir5t")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        rewrite,
        lambda folder: (folder / "c.txt").write_text("third"),
        lambda folder: (folder / "b.txt").unlink(),
        lambda folder: (folder / "b.txt").rename(folder / "d.txt"),
    ],
    ids=["rewritten", "added", "removed", "renamed"],
)
def test_every_change_is_seen(
    source: SourceConfig, hashed: Hashed, change: Callable[[Path], object]
) -> None:
    before = fingerprint_once([source])
    assert source.path is not None
    time.sleep(0.02)  # the clock of a file system goes in steps
    change(Path(source.path))
    after = fingerprint_once([source])
    assert hashed() == 2
    assert after == fingerprint_sources([source])
    assert after.digest != before.digest


def test_what_changed_just_now_may_change_unseen(
    source: SourceConfig, hashed: Hashed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_fingerprint, "_TICK_SECONDS", 2.0)
    for _ in range(2):
        fingerprint_once([source])
    assert hashed() == 2
