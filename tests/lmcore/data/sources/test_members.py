"""Which members of an archive are read, whoever asks."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lmcore.data.sources.looks import look
from lmcore.data.sources.members import members_of

Put = Callable[[str, str | bytes], Path]


def told(path: Path, pattern: str | None = None) -> dict[str, str]:
    found = members_of(path, name=path.name, pattern=pattern)
    return {member.name: why or member.refusal for member, why in found}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name in ("LICENSE", ".hidden.txt", "a.png", "b.txt", "../c.txt", "d.md"):
            packed.writestr(name, "text")
    return path


def test_each_member_has_its_reason(archive: Path) -> None:
    assert told(archive) == {
        "../c.txt": "its name leads out of the archive",
        ".hidden.txt": "hidden",
        "LICENSE": "about the data",
        "a.png": "no text",
        "b.txt": "",
        "d.md": "",
    }


def test_a_pattern_chooses_members_unless_it_chose_the_archive(archive: Path) -> None:
    assert told(archive, "*.md")["b.txt"] == "not matched by files"
    assert told(archive, "*.md")["d.md"] == ""
    assert told(archive, "*.zip") == told(archive)


def test_a_file_that_is_no_archive_is_its_only_member(put: Put) -> None:
    assert told(put("LICENSE", "text"), "*.md") == {"": ""}


def test_a_look_passes_over_what_is_left_out_however_much_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for number in range(50):
            packed.writestr(f"{number:02}.png", "x")
        packed.writestr("t.csv", "body,n\nsome words,1\n")
    assert look(path, name=path.name).header == ("body", "n")
