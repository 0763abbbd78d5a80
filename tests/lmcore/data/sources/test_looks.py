"""What one file is: what a configuration has to say, so that a run reads it right."""

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import office_files as office
import pytest

from lmcore.data.sources.looks import Look, look

Put = Callable[[str, str | bytes], Path]
GERMAN = "Der Bär läuft über die Straße und grüßt die Nachbarin sehr höflich."


def looked(path: Path) -> Look:
    return look(path, name=path.name)


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("text,n\nwords,1\n", None),
        (
            "id,2024\n1,words\n",
            None,
        ),  # a column may well be called as a year where its cells are not
        ("words come here.,1\nmore,2\n", ("column1", "column2")),
        ("good,1\nbad,2\nfine,3\n", ("column1", "column2")),
        ("2024-01-01,a\n2024-01-02,b\n", ("column1", "column2")),
        ("word,word\nx,y\n", ("column1", "column2")),
        ("only a header,n\n", None),
    ],
)
def test_a_first_row_that_is_like_the_others_is_no_header(
    put: Put, content: str, columns: tuple[str, ...] | None
) -> None:
    found = looked(put("t.csv", content))
    assert found.columns == columns
    assert len(found.rows) == content.count("\n") - (columns is None)


def test_what_a_table_is_cut_by_is_told_where_it_is_not_the_usual(put: Put) -> None:
    rows = "".join(f"one, two, {i};{i}\n" for i in range(5))
    assert looked(put("t.csv", "text;n\n" + rows)).delimiter == ";"
    assert looked(put("t.csv", "text,n\na,1\n")).delimiter is None
    assert looked(put("t.tsv", "text\tn\na\t1\n")).delimiter is None
    assert looked(put("t.tsv", "text;n\na;1\n")).delimiter == ";"


def test_an_encoding_is_told_where_it_has_to_be_named(put: Put) -> None:
    assert looked(put("a.txt", GERMAN)).encoding is None
    assert looked(put("a.txt", GERMAN.encode("utf-16"))).encoding is None
    assert looked(put("a.txt", GERMAN.encode("cp1252"))).encoding == "cp1252"
    assert looked(put("a.txt", GERMAN.encode("utf-16-le"))).encoding == "utf-16-le"
    assert "no encoding seems likely" in looked(put("a.txt", b"caf\xe9 x")).problem
    page = f"<meta charset=cp1252><p>{GERMAN}</p>".encode("cp1252")
    assert looked(put("a.html", page)) == Look(format="html")
    packed = gzip.compress(GERMAN.encode("cp1252"))
    assert looked(put("a.txt.gz", packed)).encoding == "cp1252"


def test_a_list_inside_an_object_is_found_where_there_is_one(put: Put) -> None:
    rows = [{"text": "a"}, {"text": "b"}]
    found = looked(put("a.json", json.dumps({"meta": {"n": 1}, "data": {"rows": rows}})))
    assert (found.records, found.header) == ("data.rows", ("text",))
    assert looked(put("a.json", json.dumps({"a": rows, "b": rows}))).records is None
    assert looked(put("a.json", json.dumps({"messages": rows}))).records is None
    assert looked(put("a.yaml", "rows:\n- text: a\n")).records == "rows"


def test_rows_come_with_all_their_columns(put: Put) -> None:
    found = looked(put("a.xlsx", office.xlsx({"A": [["id", "body"], [1, "words"]]})))
    assert (found.format, found.rows) == ("xlsx", ({"id": 1, "body": "words"},))
    found = looked(put("a.eml", office.mail("Hello.")))
    assert set(found.header) >= {"text", "subject", "date"}
    assert looked(
        put("a.txt", "31/12/2023, 23:59 - Ann: Hi\n31/12/2023, 23:59 - Bo: Ho\n")
    ) == Look(format="chat")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.txt", b"", "empty file"),
        ("a.txt", b"a\0b", "binary"),
        ("a.doc", b"x", "save it as .docx"),
        ("a.txt", b"%PDF-1.4", "a PDF"),
        ("a.jsonl", b"no json\n", "not JSON"),
        ("a.json", b"[]", "an empty list"),
        ("a.csv", b"\n\n", "a table without any row"),
        ("a.parquet", b"x", "not Parquet"),
        ("a.txt.gz", b"x", "damaged"),
        ("a.zip", b"x", "damaged"),
    ],
)
def test_what_a_run_cannot_read_has_a_problem(
    put: Put, name: str, content: bytes, problem: str
) -> None:
    assert problem in looked(put(name, content)).problem


def test_the_first_part_of_an_archive_that_can_be_read_speaks_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("LICENSE", "x")
        archive.writestr("a.txt", b"\0")
        archive.writestr("b.csv", "body,n\nwords,1\n")
    assert looked(path).header == ("body", "n")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("LICENSE", "x")
    assert looked(path).problem == "an archive without any text"
