"""A second name of a file, or a copy of it."""

import errno
import os
from pathlib import Path

import pytest

from lmcore.linking import link_or_copy


def test_a_file_is_linked(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("text")
    link_or_copy(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").stat().st_ino == (tmp_path / "one").stat().st_ino


@pytest.mark.parametrize("number", [errno.EPERM, errno.EXDEV, errno.EMLINK])
def test_it_is_copied_where_it_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refused)
    (tmp_path / "one").write_text("text")
    link_or_copy(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").read_text() == "text"
    assert (tmp_path / "two").stat().st_ino != (tmp_path / "one").stat().st_ino


def test_a_file_that_is_gone_is_no_copy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        link_or_copy(tmp_path / "one", tmp_path / "two")
    assert not (tmp_path / "two").exists()
