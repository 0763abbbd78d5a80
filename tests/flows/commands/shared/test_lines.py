from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.commands.shared.lines import read_lines
from flows.home import environment
from flows.home.environment import make_home
from lmcore.errors import UserError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = replace(make_home(tmp_path / "home"), started_in=tmp_path)
    monkeypatch.setattr(environment, "_prepared", home)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", "empty"), (b"ab\xff", r"not UTF-8 \(byte 2\)"), (None, "cannot be read")],
)
def test_a_file_without_lines_is_named(
    tmp_path: Path, content: bytes | None, expected: str
) -> None:
    if content is not None:
        (tmp_path / "prompts.txt").write_bytes(content)
    with pytest.raises(UserError, match=rf"^prompts\.txt: {expected}"):
        read_lines(Path("prompts.txt"), what="prompt")


def test_what_a_line_holds_is_in_the_message(tmp_path: Path) -> None:
    (tmp_path / "none").touch()
    with pytest.raises(UserError, match=r"^none: empty; expected one review a line$"):
        read_lines(Path("none"), what="review")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("one", ["one"]),
        ("one\n", ["one"]),
        ("one\n\n", ["one", ""]),
        ("\n", [""]),
        ("one\r\ntwo\r\n", ["one", "two"]),
        ("\ufeffone\n \n", ["one", " "]),
        ("a\u2028b\x0bc\n", ["a\u2028b\x0bc"]),
    ],
)
def test_lines_by_hand(tmp_path: Path, content: str, expected: list[str]) -> None:
    (tmp_path / "file").write_bytes(content.encode())
    assert read_lines(Path("file"), what="text") == expected


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(
        # A file of UTF-8 cannot hold half a surrogate pair.
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n\ufeff")),
        min_size=1,
    )
)
def test_every_line_keeps_its_place(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "file").write_bytes("".join(f"{line}\n" for line in lines).encode())
    assert read_lines(Path("file"), what="text") == lines


def test_a_device_that_never_ends_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.commands.shared.lines.MAX_BYTES", 1 << 20)
    with pytest.raises(UserError, match="/dev/zero: more than 1 MiB"):
        read_lines(Path("/dev/zero"), what="prompt")
