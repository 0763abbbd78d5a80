"""What a user's files are: kinds, columns, and what is not text."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmcore.data.sources import survey as module
from lmcore.data.sources.survey import Finding, survey
from lmcore.errors import SourceError

Put = Callable[[str, str | bytes], Path]


def test_a_single_file_by_hand(put: Put) -> None:
    path = put("t.csv", "id,review\n1,good film\n")
    found = survey(path)
    assert found.place == path
    assert found.findings == (
        Finding(
            path=path,
            files=None,
            format="csv",
            num_files=1,
            num_bytes=len("id,review\n1,good film\n"),
            columns=("id", "review"),
            text_field="review",
        ),
    )
    assert found.about == found.skipped == ()


def test_a_folder_has_a_finding_for_each_kind_the_largest_first(put: Put, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    put("a.txt", "x" * 10)
    put("sub/b.txt", "x" * 20)
    put("c.md", "x" * 100)
    put("d.jsonl.gz", gzip.compress(b'{"text": "a"}\n'))
    put("LICENSE", "all rights reserved")
    put("picture.png", b"\x89PNG\0")
    put(".hidden.txt", "x" * 1000)
    put(".git/config.txt", "x" * 1000)
    found = survey(tmp_path)
    kinds = [(f.files, f.format, f.num_files, f.num_bytes) for f in found.findings]
    packed = (tmp_path / "d.jsonl.gz").stat().st_size
    expected = [
        ("*.md", "text", 1, 100),
        ("*.txt", "text", 2, 30),
        ("*.jsonl.gz", "jsonl", 1, packed),
    ]
    assert kinds == sorted(expected, key=lambda kind: -kind[3])
    assert found.about == (tmp_path / "LICENSE",)
    assert found.skipped == (tmp_path / "picture.png",)


def test_one_ending_in_two_cases_is_two_globs(put: Put, tmp_path: Path) -> None:
    put("a.txt", "one")
    put("B.TXT", "two and more")
    assert [f.files for f in survey(tmp_path).findings] == ["*.TXT", "*.txt"]


@pytest.mark.parametrize(
    ("rows", "text_field"),
    [
        # A column that is called as text is wins over a longer one, whatever its case.
        ([{"Text": "short", "url": "long " * 20}], "Text"),
        ([{"review": "a", "content": "b"}], "content"),
        # One that is called so and holds none does not.
        ([{"text": "", "abstract": "some words"}], "abstract"),
        ([{"text": None, "n": 3, "words": "w"}], "words"),
        ([{"title": "ab", "abstract": "abc"}, {"title": "abcde"}], "title"),
        ([{"n": 1}, {"m": 2.5}], None),
        ([{}], None),
    ],
)
def test_the_text_is_the_column_of_that_name_or_the_longest(
    put: Put, rows: list[dict[str, object]], text_field: str | None
) -> None:
    path = put("t.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    (finding,) = survey(path).findings
    assert finding.text_field == text_field
    assert finding.columns == tuple(dict.fromkeys(name for row in rows for name in row))


def test_parquet_is_asked_for_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"n": [1, 2], "body": ["some", "words"], "tag": ["a", "b"]}), path)
    (finding,) = survey(path).findings
    assert (finding.columns, finding.text_field) == (("n", "body", "tag"), "body")
    path.write_bytes(b"no parquet")
    (finding,) = survey(path).findings
    assert (finding.format, finding.columns, finding.text_field) == ("parquet", (), "text")


def test_a_table_of_tabs_has_no_quotes(put: Put) -> None:
    # Read with quotes, the first label would go on to the end of the file and be the longest.
    path = put("t.tsv", 'label\tremark\n"a\tsome words\nb\tand more words\n')
    (finding,) = survey(path).findings
    assert (finding.columns, finding.text_field) == (("label", "remark"), "remark")


@pytest.mark.parametrize("line", ["no json", "[1]", "[" * 100_000])
def test_lines_that_are_no_objects_say_nothing_about_columns(put: Put, line: str) -> None:
    path = put("t.jsonl", f'{line}\n{{"body": "words"}}\n')
    (finding,) = survey(path).findings
    assert (finding.columns, finding.text_field) == (("body",), "body")


def test_a_file_without_an_ending_is_text_if_it_reads_as_text(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SAMPLE_BYTES", 10)
    # The sample ends inside a character, which is no fault of the file.
    for content in ("plain words", "123456789é", "12345678🦊"):
        (finding,) = survey(put("noending", content)).findings
        assert (finding.format, finding.text_field) == ("text", None)
    for content in (b"", b"a\0b", b"\xff123456789", b"1234\xff56789"):
        with pytest.raises(SourceError, match="not a kind of file that is read"):
            survey(put("noending", content))


def test_what_holds_no_text_is_one_sentence(put: Put, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"missing: no such file or folder"):
        survey(tmp_path / "missing")
    put("a.png", b"\x89")
    put("b.bin", b"\0")
    put("README.md", "about the data")
    with pytest.raises(SourceError, match=r"holds no text that is read \(2 other files\)"):
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
