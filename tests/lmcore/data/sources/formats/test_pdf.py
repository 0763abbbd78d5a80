"""PDF: the text layer, what the file says of itself, and hostile files."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import office_files as office
import pytest

from lmcore.data.config import DataConfig
from lmcore.data.sources.records import BadInput, LeftOut, Record

Put = Callable[[str, str | bytes], Path]
Read = Callable[..., list[Any]]


def test_pages_are_joined_and_scanned_ones_named(put: Put, read: Read) -> None:
    items = read(put("a.pdf", office.pdf(["One.", None, "Three."])), data=DataConfig(unit="file"))
    assert items == [
        LeftOut(file="a.pdf:page 2", reason="a picture without a text layer"),
        Record(file="a.pdf", position=0, text="One.\n\nThree."),
    ]


def test_a_pdf_longer_than_a_document_may_be_is_told(put: Put, read: Read) -> None:
    data = DataConfig(max_document_bytes=1024)
    (bad,) = read(put("a.pdf", office.pdf(["word " * 60] * 10)), data=data)
    assert bad == BadInput(
        file="a.pdf", position=0, reason="longer than data.max_document_bytes=1024"
    )


@pytest.mark.parametrize("seed", range(20))
def test_damaged_files_are_bad_input_and_nothing_worse(seed: int, put: Put, read: Read) -> None:
    data = bytearray(office.pdf(["One page.", "Another."]))
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 30)):
        data[rng.randrange(9, len(data))] = rng.randrange(256)
    items = read(put("a.pdf", bytes(data)))
    assert all(isinstance(item, Record | BadInput | LeftOut) for item in items)
    assert items
