"""Plain text becomes files, gathered paragraphs or lines, and no text is lost."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.sources.encodings import Misread
from lmcore.data.sources.formats.text import MAX_PARAGRAPH_BYTES, PARAGRAPH_BYTES, gather_paragraphs
from lmcore.data.sources.lines import iter_lines
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import BadInput, Record
from lmcore.errors import SourceError

Put = Callable[[str, str | bytes], Path]
Read = Callable[..., list[Any]]


def texts(items: list[Any]) -> list[str]:
    return [item.text for item in items if isinstance(item, Record)]


def bad(items: list[Any]) -> list[tuple[int, str]]:
    return [(item.position, item.reason) for item in items if isinstance(item, BadInput)]


BLOCKS = st.lists(
    st.text(st.sampled_from("ab \n\r"), max_size=40) | st.integers(1, 6_000).map(lambda n: "w" * n),
    max_size=30,
)


@settings(deadline=None, max_examples=150)
@given(BLOCKS)
def test_gathered_paragraphs_lose_no_text_and_are_of_a_useful_size(blocks: list[str]) -> None:
    text = "\n\n".join(blocks)
    lines = iter_lines(io.BytesIO(text.encode()), max_bytes=1 << 20)
    reading = Reading(
        name="a",
        source=SourceConfig(path="a"),
        max_bytes=1 << 20,
        unit="paragraph",
        misread=Misread(None, b""),
    )
    pieces = list(gather_paragraphs(lines, reading))
    assert all(isinstance(piece, Record) for piece in pieces)
    kept = [piece.text for piece in pieces if isinstance(piece, Record)]
    assert "".join("".join(kept).split()) == "".join(text.split())
    longest = max((len(line) for line in text.split("\n")), default=0)
    for piece in kept[:-1]:
        assert len(piece) >= PARAGRAPH_BYTES - 1
    assert all(len(piece) <= MAX_PARAGRAPH_BYTES + PARAGRAPH_BYTES + longest + 2 for piece in kept)


def test_text_without_blank_lines_and_text_of_old_systems_are_cut_too(put: Put, read: Read) -> None:
    verse = "".join(f"line {i} of a long poem without any stanza\n" for i in range(400))
    assert len(texts(read(put("poem.txt", verse)))) > 3
    assert len(texts(read(put("mac.txt", verse.replace("\n", "\r"))))) > 3


def test_broken_utf8_costs_its_line_or_its_file(put: Put, read: Read) -> None:
    path = put("a.txt", b"first\nse\xffcond\nthird\n")
    assert bad(read(path, data=DataConfig(unit="file"))) == [(0, "invalid UTF-8")]
    items = read(path, data=DataConfig(unit="line"))
    assert texts(items) == ["first", "third"]
    assert bad(items) == [(2, "invalid UTF-8")]
    items = read(path)
    assert texts(items) == ["first\nthird"]
    assert bad(items) == [(2, "invalid UTF-8")]


def test_long_records_are_cut_on_request_unless_they_have_a_target(put: Put, read: Read) -> None:
    body = "\n\n".join("word " * 150 for _ in range(6))
    path = put("t.jsonl", json.dumps({"text": body, "label": "x"}) + "\n")
    data = DataConfig(unit="paragraph")
    pieces = read(path, data=data)
    assert len(pieces) == 3
    assert "".join("".join(texts(pieces)).split()) == "".join(body.split())
    assert len({(p.file, p.position) for p in pieces}) == 3
    assert texts(read(path, data=data, target_field="label")) == [body]


def test_dates_come_from_file_names_on_request(put: Put, read: Read) -> None:
    path = put("1999-12-31 minutes.txt", "text")
    (record,) = read(path, date_field="filename")
    assert record.date == "1999-12-31"
    with pytest.raises(SourceError, match="date_field: filename"):
        read(path, date_field="day")


def test_a_whole_file_is_one_text_up_to_the_bound_and_no_byte_more(put: Put, read: Read) -> None:
    data = DataConfig(unit="file", max_document_bytes=1024)
    assert texts(read(put("a.txt", "x" * 1023 + "\n"), data=data)) == ["x" * 1023 + "\n"]
    ((position, reason),) = bad(read(put("a.txt", "x" * 1024 + "\n"), data=data))
    assert (position, reason) == (
        0,
        "longer than data.max_document_bytes=1024; unit: paragraph would cut it",
    )


def test_lines_are_texts_of_their_own_and_blank_ones_are_none(put: Put, read: Read) -> None:
    items = read(put("a.txt", "one\n\n \t\ntwo  \r\nthree"), data=DataConfig(unit="line"))
    assert [(item.position, item.text) for item in items] == [
        (1, "one"),
        (4, "two  "),
        (5, "three"),
    ]
