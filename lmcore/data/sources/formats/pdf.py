"""PDF: the text layer of each page, by pypdf.  Scanned pages have none, and that is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import IO, Any

from lmcore.data.sources.formats.whole_file import read_whole
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import LeftOut, Piece, Row

MAX_PAGES = 20_000


def read_pdf(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """One file: `text` of all pages, and title, author and date where the file tells them."""
    yield from read_whole(stream, reading, kind="PDF", items=_items)


def _items(file: IO[bytes], reading: Reading) -> Iterator[Piece]:
    from pypdf import PdfReader
    from pypdf.errors import FileNotDecryptedError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns of every oddity
    document = PdfReader(file)
    if document.is_encrypted and not document.decrypt(""):
        yield reading.bad(0, "an encrypted PDF; save it without a password")
        return
    pages: list[str] = []
    scanned: list[int] = []
    size = 0
    try:
        for number, page in enumerate(document.pages, start=1):
            text = page.extract_text().strip()
            size += len(text)
            if size > reading.max_bytes or number > MAX_PAGES:
                yield reading.bad(0, f"longer than data.max_document_bytes={reading.max_bytes}")
                return
            if text:
                pages.append(text)
            elif _has_picture(page):
                scanned.append(number)
    except FileNotDecryptedError:
        yield reading.bad(0, "an encrypted PDF; save it without a password")
        return
    if not pages:
        what = f"{len(scanned)} scanned pages" if scanned else "pages without any text"
        yield reading.bad(0, f"{what} and no text layer; recognise the text first (OCR)")
        return
    for number in scanned:
        yield LeftOut(file=f"{reading.name}:page {number}", reason="a picture without a text layer")
    row = {**_metadata(document), "text": "\n\n".join(pages), "pages": len(document.pages)}
    yield Row(file=reading.name, position=0, values=row)


def _has_picture(page: Any) -> bool:
    resources = page.get("/Resources")
    return resources is not None and "/XObject" in resources.get_object()


def _metadata(document: Any) -> dict[str, str]:
    try:
        about = document.metadata
        created = about.creation_date if about else None
        return {
            "title": str((about and about.title) or ""),
            "author": str((about and about.author) or ""),
            "date": created.date().isoformat() if created else "",
        }
    except MemoryError:
        raise
    except Exception:  # whatever a broken date or string raises: the text is what counts
        return {"title": "", "author": "", "date": ""}
