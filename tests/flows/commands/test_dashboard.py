from pathlib import Path
from typing import Any

from lmcore.errors import NotFoundError


def test_the_page_is_written_into_the_home_or_where_it_is_asked_for(
    shell: Any, tmp_path: Path
) -> None:
    answer = shell.answer("dashboard")
    page = shell.home.dashboard
    assert answer == {
        "path": str(page),
        "models": ["speeches"],
        "bytes": len(page.read_bytes()),
    }
    assert "version 1" in page.read_text()
    path, count = shell.lines("dashboard", "--out", "models.html", "--model", "speeches")
    assert path == str(tmp_path / "models.html")
    assert count == f"  1 model, {(tmp_path / 'models.html').stat().st_size:,} bytes"


def test_a_home_without_models_has_a_page_too(empty_shell: Any) -> None:
    assert empty_shell.lines("dashboard")[1].startswith("  0 models, ")
    refused = empty_shell.refusal("dashboard", "--model", "tales")
    assert isinstance(refused, NotFoundError)
