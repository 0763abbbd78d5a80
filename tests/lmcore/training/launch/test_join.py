"""What a host that joins says and waits for; test_hosts.py above lets it train."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmcore.training.launch.join import join, main


def test_a_folder_that_is_not_here_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "LMCORE_HOME" in error


def test_where_nothing_more_is_to_come_it_ends(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    ended.touch()
    assert join(tmp_path, until=ended) == 0
    assert main([str(tmp_path), "--until", str(ended), "--interface", "eth0"]) == 0
