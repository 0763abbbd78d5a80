"""Word processors' files and books: text in order, tracked changes, and hostile archives."""

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import office_files as office
import pytest

from lmcore.data.config import DataConfig
from lmcore.data.sources.records import BadInput, Record

Put = Callable[[str, str | bytes], Path]
Read = Callable[..., list[Any]]
WHOLE = DataConfig(unit="file")
MAKERS: dict[str, Callable[[list[str]], bytes]] = {
    "docx": office.docx,
    "odt": office.odt,
    "epub": office.epub,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_paragraphs_come_out_as_they_went_in(kind: str, put: Put, read: Read) -> None:
    paragraphs = ["First, “quoted”.", "हिन्दी में एक वाक्य", "中文段落。", "a < b & c"]
    given = (
        paragraphs
        if kind != "epub"
        else [p.replace("&", "&amp;").replace("<", "&lt;") for p in paragraphs]
    )
    (record,) = read(put(f"a.{kind}", MAKERS[kind](given)), data=WHOLE)
    assert record == Record(file=f"a.{kind}", position=0, text="\n\n".join(paragraphs))


def test_what_a_reader_accepts_of_tracked_changes_is_kept(put: Put, read: Read) -> None:
    (record,) = read(put("a.docx", office.docx(["It is"], tracked=True)), data=WHOLE)
    assert record.text == "It is new"


def test_what_a_file_says_of_itself_is_a_column(put: Put, read: Read) -> None:
    path = put("a.epub", office.epub(["Text."]))
    (record,) = read(path, data=WHOLE, target_field="title")
    assert record.target == "Book"


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("seed", range(8))
def test_damaged_files_are_bad_input_and_nothing_worse(
    kind: str, seed: int, put: Put, read: Read
) -> None:
    data = bytearray(MAKERS[kind](["One.", "Two."]))
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 10)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    items = read(put(f"a.{kind}", bytes(data)), data=WHOLE)
    assert len(items) == 1
    assert isinstance(items[0], Record | BadInput)


def test_an_office_file_that_is_a_bomb_is_refused_unread(put: Put, read: Read) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(80 << 20))
    (bad,) = read(put("a.docx", out.getvalue()))
    assert "decompression bomb" in bad.reason


def test_entities_of_a_book_are_not_expanded(put: Put, read: Read) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        book.writestr(
            "META-INF/container.xml",
            '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><container'
            ' xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="&f;"/></rootfiles></container>',
        )
    (bad,) = read(put("a.epub", out.getvalue()))
    assert isinstance(bad, BadInput)
    assert "root:" not in bad.reason
