import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.commands import report as module
from lmcore.errors import NotFoundError, UserError


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)


def test_the_page_of_the_champion_or_of_a_version(shell: Any) -> None:
    answer = shell.answer("report")
    assert (answer["model"], answer["version"], answer["opened"]) == ("speeches", 1, False)
    page = Path(answer["path"])
    assert page.read_text() == "<!doctype html>"
    assert answer["url"] == page.as_uri()
    assert page.is_relative_to(shell.home.root)
    assert shell.lines("report", "v1") == [answer["path"]]
    assert shell.answer("report", "2", "--model", "speeches")["version"] == 2
    assert "no version 9" in str(shell.refusal("report", "9"))


def test_before_a_promotion_it_is_the_newest(empty_shell: Any, register: Any) -> None:
    assert isinstance(empty_shell.refusal("report"), NotFoundError)
    for number in (1, 2):
        register(run_key=f"key {number}")
    assert empty_shell.answer("report")["version"] == 2


def test_a_copy_is_written_where_it_is_asked_for(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    for out, expected in (("a.html", "a.html"), ("pages", "pages/report.html")):
        answer = shell.answer("report", "--out", out)
        assert answer["path"] == str(tmp_path / expected)
        assert (tmp_path / expected).read_text() == "<!doctype html>"
    refused = shell.refusal("report", "--out", "no/such/folder.html")
    assert isinstance(refused, UserError)
    assert "cannot be written" in str(refused)


def test_a_browser_opens_it_where_there_is_one(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(module.webbrowser, "open", lambda url: asked.append(url) or True)
    path = Path(shell.lines("report")[0])
    assert asked == []
    monkeypatch.setenv("DISPLAY", ":0")
    assert shell.answer("report")["opened"] is False
    shell.lines("report", "--no-open")
    assert asked == []
    assert shell.lines("report") == [str(path)]
    assert asked == [path.as_uri()]


def test_the_browser_has_the_settings_of_the_user(shell: Any, tmp_path: Path) -> None:
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\necho "$1 $XDG_CONFIG_HOME $TMPDIR" > {seen}\n')
    browser.chmod(0o755)
    given = {"LMCORE_HOME": str(shell.home.root), "BROWSER": f"{browser} %s", "TMPDIR": "/tmp"}
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")}
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "report"],
        env={**kept, **given, "XDG_CONFIG_HOME": "/of/the/user"},
        capture_output=True,
        text=True,
        check=True,
    )
    url = Path(done.stdout.strip()).as_uri()
    assert seen.read_text() == f"{url} /of/the/user /tmp\n"
