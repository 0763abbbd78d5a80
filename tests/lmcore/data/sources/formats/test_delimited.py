"""Tables: every good row is read, and a bad one costs itself alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmcore.data.config import DataConfig
from lmcore.data.sources.records import BadInput, Record
from lmcore.errors import SourceError

Put = Callable[[str, str | bytes], Path]
PutRows = Callable[[str], Path]
Read = Callable[..., list[Any]]


def texts(items: list[Any]) -> list[str]:
    return [item.text for item in items if isinstance(item, Record)]


def bad(items: list[Any]) -> list[tuple[int, str]]:
    return [(item.position, item.reason) for item in items if isinstance(item, BadInput)]


def test_tsv_has_no_quoting(put: Put, read: Read) -> None:
    path = put("t.tsv", 'text\tn\n"open\t1\n""\t2\nend"\t3\ra\t4\n')
    items = read(path)
    assert texts(items) == ['"open', '""']
    assert bad(items) == [(4, "3 cells where the header has 2")]


def test_csv_cells_may_hold_line_ends_quotes_and_much_text(put: Put, read: Read) -> None:
    long = "x" * 300_000  # the csv module's own limit is 131,072
    path = put("t.csv", f'text,n\n"two\nlines, ""quoted""",1\n{long},2\n"{long}",3\n')
    items = read(path)
    assert texts(items) == ['two\nlines, "quoted"', long, long]
    assert [item.position for item in items] == [2, 4, 5]


def test_bad_csv_rows_cost_only_themselves(put: Put, read: Read) -> None:
    path = put("t.csv", b'text,n\ngood,1\nshort\nb\xff,2\nlast,3\n"never closed,4\nmore,5\n')
    items = read(path)
    assert texts(items) == ["good", "last"]
    assert (3, "1 cells where the header has 2") in bad(items)
    assert (6, "a quote is never closed") in bad(items)
    assert (4, "invalid UTF-8") in bad(items)


def test_a_csv_cell_that_swallows_everything_is_bounded(put: Put, read: Read) -> None:
    path = put("t.csv", 'text,n\n"' + "row,1\n" * 2_000 + 'end",7\nok,8\n')
    items = read(path, data=DataConfig(max_document_bytes=1 << 20))
    assert texts(items)[-1] == "ok"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{oops", "not JSON"),
        ("[1, 2]", "not a JSON object"),
        ('{"title": "no text"}', "no key 'text'; found 'title'"),
        ('{"text": 5}', "'text' is a number, not a string"),
        ('{"text": null}', "'text' is null, not a string"),
        ('{"text": ["a"]}', "set list_join"),
        ("[" * 100_000, "not JSON"),
        (b'{"text": "\xff"}', "invalid UTF-8"),
        ('{"text": "' + "x" * 3000 + '"}', "longer than data.max_document_bytes=2048"),
    ],
)
def test_a_bad_json_line_is_named_with_its_reason(
    put: Put, line: str | bytes, reason: str, read: Read
) -> None:
    raw = line if isinstance(line, bytes) else line.encode()
    path = put("t.jsonl", b'{"text": "one"}\n' + raw + b'\n{"text": "three"}\n')
    items = read(path, data=DataConfig(max_document_bytes=2048 if b"xxx" in raw else 1 << 24))
    assert texts(items) == ["one", "three"]
    ((position, found),) = bad(items)
    assert position == 2
    assert reason in found


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
@pytest.mark.parametrize("key", ["text_field", "target_field", "date_field"])
def test_a_missing_column_names_file_column_and_what_was_found(
    tmp_path: Path, kind: str, key: str, read: Read, put_rows: PutRows
) -> None:
    path = put_rows(kind)
    with pytest.raises(SourceError) as caught:
        read(path, data=None, **{key: "body"})
    message = str(caught.value)
    assert all(word in message for word in (path.name, "'body'", "'id', 'text'", key))


def test_columns_lists_targets_and_dates(put: Put, read: Read) -> None:
    path = put("t.tsv", "hello\t3\t2020-05-01\nyou\t4\t2021\nbad\t5\tsoon\nnone\t6\t\n")
    items = read(path, columns=["text", "label", "day"], target_field="label", date_field="day")
    records = [item for item in items if isinstance(item, Record)]
    assert [(r.text, r.target, r.date) for r in records] == [
        ("hello", "3", "2020-05-01"),
        ("you", "4", "2021-12-31"),
        ("none", "6", None),
    ]
    assert bad(items) == [(3, "day='soon' is not an ISO 8601 date")]
    joined = put("l.jsonl", '{"s": ["a.", "b."], "y": 1}\n{"s": [1], "y": true}\n')
    items = read(joined, text_field="s", target_field="y", list_join=" ")
    assert [(r.text, r.target) for r in items if isinstance(r, Record)] == [("a. b.", "1")]
    assert bad(items) == [(2, "'s' is a list of other things than strings")]
