"""What a place holds: sources that mean their own files alone, and a reason for the rest."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from sentences import sentences

from lmcore.data.sources import survey as module
from lmcore.data.sources.find_files import find_files
from lmcore.data.sources.survey import survey
from lmcore.errors import SourceError

Put = Callable[[str, str | bytes], Path]
GERMAN = "Der Bär läuft über die Straße und grüßt die Nachbarin sehr höflich."


def means(found: module.Survey) -> list[tuple[str | None, str, int]]:
    return [(f.config.files, f.format, f.num_files) for f in found.findings]


def test_a_folder_has_a_source_for_each_kind_the_largest_first(put: Put, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    put("a.txt", "x" * 10)
    put("sub/b.txt", "x" * 20)
    put("c.md", "x" * 100)
    put("d.jsonl.gz", gzip.compress(b'{"text": "some words"}\n'))
    for name in ("LICENSE", "picture.png", ".hidden.txt", ".git/config.txt"):
        put(name, "not for learning")
    put("empty.rst", "")
    found = survey(tmp_path)
    assert sorted(means(found)) == [
        ("*.jsonl.gz", "jsonl", 1),
        ("*.md", "markdown", 1),
        ("*.txt", "text", 2),
    ]
    sizes = [finding.num_bytes for finding in found.findings]
    assert sizes == sorted(sizes, reverse=True)
    assert {left.file: left.reason for left in found.left_out} == {
        "LICENSE": "about the data",
        "picture.png": "no text",
        ".hidden.txt": "hidden",
        ".git/config.txt": "hidden",
    }
    assert found.unread == (("empty.rst", "empty file"),)


def test_one_ending_in_two_cases_is_two_globs(put: Put, tmp_path: Path) -> None:
    put("a.txt", "one")
    put("B.TXT", "two and more")
    assert [f.config.files for f in survey(tmp_path).findings] == ["*.TXT", "*.txt"]


def test_files_that_no_pattern_tells_apart_are_named_one_by_one(put: Put, tmp_path: Path) -> None:
    put("a.txt", GERMAN)
    put("b.txt", GERMAN.encode("cp1252"))
    put("notes", "no ending")
    put("x.gz", gzip.compress(b"packed"))
    found = survey(tmp_path)
    places = {Path(f.config.path or "").name: f.config.encoding for f in found.findings}
    assert places == {"a.txt": None, "b.txt": "cp1252", "notes": None, tmp_path.name: None}
    assert {f.config.files for f in found.findings} == {None, "*.gz"}
    (guess,) = (f.guesses for f in found.findings if f.config.encoding)
    assert "read as cp1252, which is a guess" in guess[0]
    every = [str(path) for f in found.findings for _, path in find_files(f.config, key="k")[0]]
    assert sorted(every) == sorted(str(path) for path in tmp_path.iterdir())


def test_too_many_files_for_single_names_are_one_sentence(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_SINGLE", 2)
    for number in range(3):
        put(f"a{number}.txt", GERMAN)
        put(f"b{number}.txt", GERMAN.encode("cp1252"))
    with pytest.raises(SourceError, match=r"3 files with \.txt, .* folder of their own"):
        survey(tmp_path)


def test_a_few_files_that_cannot_be_read_stay_and_more_are_told(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(120):
        put(f"a{number}.txt", f"text {number}")
    put("bad.txt", b"\0\0\0")
    found = survey(tmp_path)
    assert means(found) == [("*.txt", "text", 120)]
    assert found.unread == (("bad.txt", "a binary file, not text"),)
    put("worse.txt", b"\0\0\0")
    with pytest.raises(
        SourceError, match=r"2 of 122 files \*\.txt cannot be read, the first is bad"
    ):
        survey(tmp_path)


def test_tables_with_other_columns_are_sources_of_their_own(put: Put, tmp_path: Path) -> None:
    rows = "".join(f"{line},1\n" for line in sentences(20))
    put("a.csv", "text,n\n" + rows)
    put("b.csv", "body,n\n" + rows)
    found = survey(tmp_path)
    assert {(Path(f.config.path or "").name, f.config.text_field) for f in found.findings} == {
        ("a.csv", "text"),
        ("b.csv", "body"),
    }


def test_what_holds_no_text_is_one_sentence(put: Put, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"missing: no such file or folder"):
        survey(tmp_path / "missing")
    put("b.bin2", b"\0")
    put("c.txt", b"")
    with pytest.raises(SourceError, match=r"no text that is read: b\.bin2: .*and 1 more file"):
        survey(tmp_path)


def test_a_folder_of_too_many_files_is_refused(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_FILES", 3)
    for name in ("a.txt", "b.txt", "c.txt"):
        put(name, "text")
    assert survey(tmp_path).findings[0].num_files == 3
    put("d.txt", "text")
    with pytest.raises(SourceError, match="more than 3 files; name a smaller folder"):
        survey(tmp_path)
