import io
import os
import pty
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.commands.shared.inputs import file_of, is_piped, read_lines, read_standard_input
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
    monkeypatch.setattr("flows.commands.shared.inputs.MAX_BYTES", 1 << 20)
    with pytest.raises(UserError, match="/dev/zero: more than 1 MiB"):
        read_lines(Path("/dev/zero"), what="prompt")


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def pipe(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return pipe


def test_standard_input_is_a_text_or_lines_or_a_file(piped: Callable[[bytes], None]) -> None:
    piped("\ufeffFellow\ncitizens\n".encode())
    assert read_standard_input("a text") == "Fellow\ncitizens"
    piped(b"one\n\ntwo\n")
    assert read_lines(Path("-"), what="text") == ["one", "", "two"]
    piped(b"A letter.\r\n")
    with file_of(Path("-"), what="a text") as copy:
        assert copy.read_bytes() == b"A letter."
    assert not copy.exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "standard input: empty; expected a text"),
        (b"ab\xff", "standard input: not UTF-8 (byte 2); expected a text, in UTF-8"),
        (b"PK\0\1", "standard input: no text (it holds U+0000); expected a text, in UTF-8"),
        (b"x" * 2000, "standard input: more than 0 MiB; give it in several parts"),
    ],
)
def test_what_is_no_text_on_standard_input_is_one_sentence(
    piped: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch, content: bytes, expected: str
) -> None:
    monkeypatch.setattr("flows.commands.shared.inputs.MAX_BYTES", 1000)
    piped(content)
    with pytest.raises(UserError) as refused:
        read_standard_input("a text")
    assert str(refused.value) == expected


def test_a_terminal_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        assert not is_piped()
        with pytest.raises(UserError, match="a terminal, from which nothing is read; pipe a text"):
            read_standard_input("a text")
        with pytest.raises(UserError, match=r"^give one$"):
            read_standard_input("a text", missing="give one")
    os.close(ours)
    monkeypatch.setattr(sys, "stdin", None)
    assert not is_piped()
