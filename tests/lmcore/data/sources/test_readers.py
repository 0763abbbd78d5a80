"""Every format, plain and packed, good and bad: what comes out, and with which reason."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.sources.lines import iter_lines
from lmcore.data.sources.located import fingerprint_sources
from lmcore.data.sources.plaintext import MAX_PARAGRAPH_BYTES, PARAGRAPH_BYTES, gather_paragraphs
from lmcore.data.sources.readers import read_source, resolve_unit
from lmcore.data.sources.records import BadInput, Record, date_in_name, iso_date
from lmcore.errors import SourceError


def read(path: Path | str, *, data: DataConfig | None = None, **config: Any) -> list[Any]:
    (source,) = fingerprint_sources([SourceConfig(path=str(path), **config)]).sources
    return list(read_source(source, data=data or DataConfig()))


def texts(items: list[Any]) -> list[str]:
    return [item.text for item in items if isinstance(item, Record)]


def bad(items: list[Any]) -> list[tuple[int, str]]:
    return [(item.position, item.reason) for item in items if isinstance(item, BadInput)]


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


Put = Callable[[str, str | bytes], Path]


def _rows(tmp_path: Path, kind: str) -> Path:
    rows = [{"id": "1", "text": "first"}, {"id": "2", "text": 'has "quotes"'}]
    if kind == "parquet":
        path = tmp_path / "t.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    content = {
        "jsonl": "".join(json.dumps(row) + "\n\n" for row in rows),
        "csv": 'id,text\r\n1,first\r\n2,"has ""quotes"""\r\n',
        "tsv": 'id\ttext\n1\tfirst\n2\thas "quotes"\n',
        "txt": 'first\n\nhas "quotes"\n',
    }[kind]
    path = tmp_path / f"t.{kind}"
    path.write_text("\ufeff" + content, newline="")
    return path


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv", "txt", "parquet"])
@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_every_format_gives_the_same_texts_plain_and_packed(
    tmp_path: Path, kind: str, packing: str
) -> None:
    path = _rows(tmp_path, kind)
    if packing:
        pack = gzip.compress if packing == ".gz" else zstandard.ZstdCompressor().compress
        path = path.with_name(path.name + packing)
        path.write_bytes(pack(path.with_suffix("").read_bytes()))
    items = read(path, data=DataConfig(unit="line" if kind == "txt" else "auto"))
    if kind == "parquet" and packing:
        assert bad(items) == [(0, "a packed Parquet file is not read; unpack it")]
    else:
        assert texts(items) == ["first", 'has "quotes"']


def test_tsv_has_no_quoting(put: Put) -> None:
    path = put("t.tsv", 'text\tn\n"open\t1\n""\t2\nend"\t3\ra\t4\n')
    items = read(path)
    assert texts(items) == ['"open', '""']
    assert bad(items) == [(4, "3 cells where the header has 2")]


def test_csv_cells_may_hold_line_ends_quotes_and_much_text(put: Put) -> None:
    long = "x" * 300_000  # the csv module's own limit is 131,072
    path = put("t.csv", f'text,n\n"two\nlines, ""quoted""",1\n{long},2\n"{long}",3\n')
    items = read(path)
    assert texts(items) == ['two\nlines, "quoted"', long, long]
    assert [item.position for item in items] == [2, 4, 5]


def test_bad_csv_rows_cost_only_themselves(put: Put) -> None:
    path = put("t.csv", b'text,n\ngood,1\nshort\nb\xff,2\nlast,3\n"never closed,4\nmore,5\n')
    items = read(path)
    assert [t for t in texts(items) if t.isascii()] == ["good", "last"]
    assert (3, "1 cells where the header has 2") in bad(items)
    assert (6, "a quote is never closed") in bad(items)
    assert "b\udcff" in texts(items)  # which cleaning refuses


def test_a_csv_cell_that_swallows_everything_is_bounded(put: Put) -> None:
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
def test_a_bad_json_line_is_named_with_its_reason(put: Put, line: str | bytes, reason: str) -> None:
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
    tmp_path: Path, kind: str, key: str
) -> None:
    path = _rows(tmp_path, kind)
    with pytest.raises(SourceError) as caught:
        read(path, data=None, **{key: "body"})
    message = str(caught.value)
    assert all(word in message for word in (path.name, "'body'", "'id', 'text'", key))


def test_columns_lists_targets_and_dates(put: Put) -> None:
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


def test_parallel_files_are_aligned_by_line(put: Put) -> None:
    left, right = put("a.de", "eins\n\nzwei\n"), put("a.en", "one\n\ntwo\n")
    items = read(left, format="parallel", target_path=str(right))
    assert [(r.text, r.target) for r in items] == [("eins", "one"), ("", ""), ("zwei", "two")]
    right.write_bytes(b"one\n\xff\ntwo\n")
    items = read(left, format="parallel", target_path=str(right))
    assert bad(items) == [(2, "invalid UTF-8")]
    right.write_text("one\n")
    with pytest.raises(SourceError, match=r"a\.en has 1 lines and a\.de has more"):
        read(left, format="parallel", target_path=str(right))


def test_dates_come_from_file_names_on_request(put: Put) -> None:
    path = put("1999-12-31 minutes.txt", "text")
    (record,) = read(path, date_field="filename")
    assert record.date == "1999-12-31"
    with pytest.raises(SourceError, match="date_field: filename"):
        read(path, date_field="day")
    assert date_in_name("texts/1973-Nixon-4.txt") == "1973-12-31"
    assert date_in_name("minutes.txt") is None
    assert date_in_name("12345.txt") is None
    assert iso_date("2024-02-30") is None
    assert iso_date("2024-05-01T10:00:00+02:00") == "2024-05-01"


def test_binary_utf16_and_empty_files_are_refused(put: Put) -> None:
    assert bad(read(put("a.txt", b"PNG\x00\x01data"))) == [(0, "a binary file, not text")]
    assert bad(read(put("b.txt", "text".encode("utf-16")))) == [
        (0, "UTF-16 text; save it as UTF-8")
    ]
    assert bad(read(put("c.txt", ""))) == [(0, "empty file")]
    assert bad(read(put("d.jsonl", b"\x00" * 500))) == [(0, "a binary file, not text")]
    assert bad(read(put("e.parquet", "no parquet at all")))[0][1].startswith("not Parquet")


def test_broken_utf8_costs_its_line_or_its_file(put: Put) -> None:
    path = put("a.txt", b"first\nse\xffcond\nthird\n")
    assert bad(read(path, data=DataConfig(unit="file"))) == [(0, "invalid UTF-8")]
    items = read(path, data=DataConfig(unit="line"))
    assert texts(items) == ["first", "third"]
    assert bad(items) == [(2, "invalid UTF-8")]
    items = read(path)
    assert texts(items) == ["first\nthird"]
    assert bad(items) == [(2, "invalid UTF-8")]


def test_truncated_gzip_keeps_what_came_before(tmp_path: Path) -> None:
    lines = b"".join(b"line %d is here\n" % i for i in range(20_000))
    path = tmp_path / "t.txt.gz"
    path.write_bytes(gzip.compress(lines)[:-2_000])
    items = read(path, format="lines")
    assert texts(items)[:2] == ["line 0 is here", "line 1 is here"]
    ((position, reason),) = bad(items)
    assert position == 0
    assert "damaged" in reason
    path.write_bytes(b"not gzip at all")
    assert "damaged" in bad(read(path))[0][1]


class _Endless(io.RawIOBase):
    """A gigabyte without a line end; counts how much of it is asked for at once."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.largest = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.largest = max(self.largest, len(buffer))
        count = min(len(buffer), self.left)
        buffer[:count] = b"x" * count
        self.left -= count
        return count


def test_a_gigantic_line_is_skipped_in_bounded_pieces() -> None:
    raw = _Endless(300 << 20)
    lines = list(iter_lines(io.BufferedReader(raw, 1 << 16), max_bytes=1 << 20))
    assert [(line.number, line.data) for line in lines] == [(1, None)]
    assert raw.left == 0
    assert raw.largest <= 1 << 20


@pytest.mark.parametrize("length", [9, 10, 11])
def test_the_bound_on_lines_is_exact(length: int) -> None:
    stream = io.BytesIO(b"x" * length + b"\r\nnext")
    first, second = iter_lines(stream, max_bytes=10)
    assert (first.data is None) == (length > 10)
    assert second.data == b"next"


BLOCKS = st.lists(
    st.text(st.sampled_from("ab \n\r"), max_size=40) | st.integers(1, 6_000).map(lambda n: "w" * n),
    max_size=30,
)


@settings(deadline=None, max_examples=150)
@given(BLOCKS)
def test_gathered_paragraphs_lose_no_text_and_are_of_a_useful_size(blocks: list[str]) -> None:
    text = "\n\n".join(blocks)
    lines = iter_lines(io.BytesIO(text.encode()), max_bytes=1 << 20)
    pieces = list(gather_paragraphs(lines, name="a", max_bytes=1 << 20))
    assert all(isinstance(piece, Record) for piece in pieces)
    kept = [piece.text for piece in pieces if isinstance(piece, Record)]
    assert "".join("".join(kept).split()) == "".join(text.split())
    longest = max((len(line) for line in text.split("\n")), default=0)
    for piece in kept[:-1]:
        assert len(piece) >= PARAGRAPH_BYTES - 1
    assert all(len(piece) <= MAX_PARAGRAPH_BYTES + PARAGRAPH_BYTES + longest + 2 for piece in kept)


def test_text_without_blank_lines_and_text_of_old_systems_are_cut_too(put: Put) -> None:
    verse = "".join(f"line {i} of a long poem without any stanza\n" for i in range(400))
    assert len(texts(read(put("poem.txt", verse)))) > 3
    assert len(texts(read(put("mac.txt", verse.replace("\n", "\r"))))) > 3


def test_long_records_are_cut_on_request_unless_they_have_a_target(put: Put) -> None:
    body = "\n\n".join("word " * 150 for _ in range(6))
    path = put("t.jsonl", json.dumps({"text": body, "label": "x"}) + "\n")
    data = DataConfig(unit="paragraph")
    pieces = read(path, data=data)
    assert len(pieces) == 3
    assert "".join("".join(texts(pieces)).split()) == "".join(body.split())
    assert len({(p.file, p.position) for p in pieces}) == 3
    assert texts(read(path, data=data, target_field="label")) == [body]


def test_the_unit_is_the_file_from_fifty_files_on(tmp_path: Path) -> None:
    for i in range(49):
        (tmp_path / f"{i:02}.txt").write_text(f"text {i}")

    def unit(**data: Any) -> str:
        (source,) = fingerprint_sources([SourceConfig(path=str(tmp_path))]).sources
        return resolve_unit(source, data=DataConfig(**data))

    assert unit() == "paragraph"
    (tmp_path / "49.txt").write_text("text")
    assert unit() == "file"
    assert unit(unit="line") == "line"
