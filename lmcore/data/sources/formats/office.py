"""Word processors' files and e-books: DOCX, ODT, RTF and EPUB as the text that a reader sees.

Deleted text of tracked changes is left out and inserted text is kept, as a reader
who accepts them would have it.  Layout, pictures and headers of pages are no text.
"""

from __future__ import annotations

import io
import posixpath
import urllib.parse
import zipfile
from collections.abc import Iterator
from typing import IO, Any

from lmcore.data.sources.formats.html import page_text, visible_text
from lmcore.data.sources.formats.whole_file import read_whole
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import Piece, Row

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_NOT_SHOWN = {
    *(f"{_W}{name}" for name in ("del", "moveFrom", "instrText", "rPr", "pPr")),
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
}
_MAX_PART_BYTES = 64 << 20
_EPUB_NAMES = {
    "c": "urn:oasis:names:tc:opendocument:xmlns:container",
    "o": "http://www.idpf.org/2007/opf",
    "d": "http://purl.org/dc/elements/1.1/",
}


def read_docx(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """One file: `text`, and title, author and date."""
    yield from read_whole(stream, reading, kind="DOCX", items=_docx, is_archive=True)


def read_odt(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """One file: `text`, and title and date."""
    yield from read_whole(stream, reading, kind="ODT", items=_odt, is_archive=True)


def read_rtf(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """One file: `text`."""
    yield from read_whole(stream, reading, kind="RTF", items=_rtf)


def read_epub(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """One book: `text` of its chapters in reading order, and title, author and language."""
    yield from read_whole(stream, reading, kind="EPUB", items=_epub, is_archive=True)


def _one(reading: Reading, text: str, **about: str) -> Piece:
    if not text.strip():
        return reading.bad(0, "a file without any text")
    return Row(file=reading.name, position=0, values={**about, "text": text})


def _docx(file: IO[bytes], reading: Reading) -> Iterator[Piece]:
    from docx import Document

    document = Document(file)
    about = document.core_properties
    paragraphs = document.element.body.iter(f"{_W}p")
    lines = (_docx_line(paragraph) for paragraph in paragraphs if not _is_inside(paragraph))
    yield _one(
        reading,
        "\n\n".join(line for line in lines if line.strip()),
        title=about.title or "",
        author=about.author or "",
        date=about.modified.date().isoformat() if about.modified else "",
    )


def _is_inside(paragraph: Any) -> bool:
    """Whether a paragraph stands in another (a text box), or in what is not shown."""
    return any(
        outer.tag in _NOT_SHOWN or outer.tag == f"{_W}p" for outer in paragraph.iterancestors()
    )


def _docx_line(element: Any) -> str:
    pieces: list[str] = []
    for child in element:
        if child.tag == f"{_W}t":
            pieces.append(child.text or "")
        elif child.tag in (f"{_W}tab", f"{_W}ptab"):
            pieces.append("\t")
        elif child.tag in (f"{_W}br", f"{_W}cr"):
            pieces.append("\n")
        elif child.tag == f"{_W}noBreakHyphen":
            pieces.append("-")
        elif child.tag not in _NOT_SHOWN:
            inner = _docx_line(child)
            pieces.append(f"\n{inner}\n" if child.tag == f"{_W}p" and inner else inner)
    return "".join(pieces)


def _odt(file: IO[bytes], reading: Reading) -> Iterator[Piece]:
    from odfdo import Document

    document = Document(io.BytesIO(file.read()))
    body = document.body
    for name in ("text:tracked-changes", "office:annotation", "text:note-citation"):
        for element in body.get_elements(f"//{name}"):
            element.delete()
    lines = (_odt_line(element) for element in body.get_elements("//text:p|//text:h"))
    about = document.meta
    yield _one(
        reading,
        "\n\n".join(line for line in lines if line.strip()),
        title=str(about.title or ""),
        date=str(about.date or "")[:10],
    )


def _odt_line(element: Any) -> str:
    return str(element.inner_text)


def _rtf(file: IO[bytes], reading: Reading) -> Iterator[Piece]:
    raw = file.read()
    if not raw.lstrip().startswith(b"{\\rtf"):
        yield reading.bad(0, "not RTF: it does not begin as such a file does")
        return
    # RTF is ASCII that names its code page; what stands in it raw is of that page.
    encoding = reading.source.encoding or "cp1252"
    yield _one(reading, _rtf_text(raw.decode("latin-1"), encoding))


def _rtf_text(raw: str, encoding: str) -> str:
    from striprtf.striprtf import rtf_to_text

    return str(rtf_to_text(raw, encoding=encoding, errors="replace"))  # type: ignore[no-untyped-call]


def _epub(file: IO[bytes], reading: Reading) -> Iterator[Piece]:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    with zipfile.ZipFile(file) as book:
        if "META-INF/encryption.xml" in book.namelist() and b"EncryptedData" in _part(
            book, "META-INF/encryption.xml"
        ):
            yield reading.bad(0, "an encrypted book")
            return
        container = etree.fromstring(_part(book, "META-INF/container.xml"), parser)
        place = container.xpath("string(//c:rootfile/@full-path)", namespaces=_EPUB_NAMES)
        package = etree.fromstring(_part(book, place), parser)
        files = {
            item.get("id"): item.get("href", "")
            for item in package.xpath("//o:manifest/o:item", namespaces=_EPUB_NAMES)
            if "nav" not in (item.get("properties") or "").split()
        }
        chapters = []
        for reference in package.xpath("//o:spine/o:itemref", namespaces=_EPUB_NAMES):
            href = files.get(reference.get("idref"))
            if href is None or reference.get("linear") == "no":
                continue
            name = posixpath.normpath(
                posixpath.join(posixpath.dirname(place), urllib.parse.unquote(href))
            )
            chapters.append(visible_text(page_text(_part(book, name)) or ""))
    about = {
        key: str(package.xpath(f"string(//d:{name})", namespaces=_EPUB_NAMES)).strip()
        for key, name in (("title", "title"), ("author", "creator"), ("language", "language"))
    }
    yield _one(reading, "\n\n".join(chapter for chapter in chapters if chapter), **about)


def _part(book: zipfile.ZipFile, name: str) -> bytes:
    with book.open(name) as part:
        raw = part.read(_MAX_PART_BYTES + 1)
    if len(raw) > _MAX_PART_BYTES:
        raise ValueError(f"{name} is longer than {_MAX_PART_BYTES >> 20} MiB")
    return raw
