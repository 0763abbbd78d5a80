"""Web pages: the main text without menus, banners and footers, by trafilatura.

In: HTML of any encoding that it names itself.  Out: `text`, and title, author, date,
language and address as columns where the page tells them.  A page of which no main
text can be told apart (a letter, a short note, a list of thousands) gives all of its visible text.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import IO, Any

from lmcore.data.sources.encodings import marked_encoding
from lmcore.data.sources.formats.whole_file import read_whole
from lmcore.data.sources.lines import decode
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import Piece, Row

_MAX_BYTES = 32 << 20
_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}[\"']?\s{0,9}([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE
)
# Characters that no tree of elements can hold (XML 1.0, production 2).
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NOT_TEXT = "//script|//style|//noscript|//template|//nav|//head|//comment()"
# A page of more is no article, and to look for one takes the square of their number.
_MOST_ITEMS, _MOST_TAGS = 5_000, 50_000
_ITEM = re.compile("<li", re.IGNORECASE)
_METADATA = ("title", "author", "date", "description", "language", "url", "sitename")


def read_html(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """One page: `text` and what the page says about itself."""
    yield from read_whole(stream, reading, kind="HTML", items=_items)


def _items(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    limit = min(_MAX_BYTES, reading.max_bytes)
    raw = stream.read(limit + 1)
    if len(raw) > limit:
        yield reading.bad(0, f"a page longer than {limit:,} bytes")
        return
    page = page_text(raw)
    if page is None:
        yield reading.bad(0, reading.misread.reason(raw))
        return
    row = main_text(page)
    if not row["text"].strip():
        yield reading.bad(0, "a page without any text")
        return
    yield Row(file=reading.name, position=0, values=row)


def page_text(raw: bytes) -> str | None:
    """A page decoded: as UTF-8, else as the page itself says; None if it is neither."""
    text = decode(raw)
    if text is not None:
        return text
    named = _CHARSET.search(raw[:4096])
    # The label Latin-1 means Windows-1252 (the encoding standard of the web).
    label = named[1].decode().lower() if named else None
    encoding = {"iso-8859-1": "cp1252", "latin1": "cp1252"}.get(label or "", label)
    try:
        return raw.decode(encoding or marked_encoding(raw) or "utf-8")
    except (LookupError, ValueError):
        return None


def main_text(page: str) -> dict[str, Any]:
    """`text` of a page and its metadata, all of them strings.

    Args:
        page: HTML, decoded.
    """
    from trafilatura import bare_extraction

    # It calls every empty page an error.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL + 1)
    page = _NO_XML.sub("", page)
    row: dict[str, Any] = dict.fromkeys(_METADATA, "")
    found = None
    is_article = len(_ITEM.findall(page)) <= _MOST_ITEMS and page.count("<") <= _MOST_TAGS
    if page.strip() and is_article:
        found = bare_extraction(page, with_metadata=True, include_comments=False)
    if found is not None:
        values = found.as_dict() if hasattr(found, "as_dict") else dict(found)
        row |= {name: str(values.get(name) or "") for name in _METADATA}
    text = str(values.get("text") or "") if found is not None else ""
    row["text"] = text if text.strip() else visible_text(page)
    return row


def visible_text(page: str, *, without: str = "") -> str:
    """All text that a reader of a page sees, a line for each block.

    Args:
        page: HTML, decoded.
        without: XPath of elements to leave out, beside those that are never shown.
    """
    from inscriptis import Inscriptis
    from inscriptis.model.config import ParserConfig
    from lxml import etree
    from lxml.html import HTMLParser, document_fromstring

    page = _NO_XML.sub("", page)
    if not page.strip():
        return ""
    try:
        # lxml refuses text that names an encoding of its own, so it gets bytes.
        tree = document_fromstring(
            page.encode("utf-8", "replace"), parser=HTMLParser(encoding="utf-8")
        )
    except (etree.ParserError, ValueError):
        return ""
    for element in tree.xpath("|".join(filter(None, (_NOT_TEXT, without)))):
        if (parent := element.getparent()) is not None:
            _take_out(element, parent)
    text = Inscriptis(tree, ParserConfig(display_links=False, display_images=False)).get_text()
    return "\n".join(line.strip() for line in text.split("\n")).strip()


def _take_out(element: Any, parent: Any) -> None:
    """Remove an element and keep the text behind it."""
    if element.tail:
        before = element.getprevious()
        if before is not None:
            before.tail = (before.tail or "") + element.tail
        else:
            parent.text = (parent.text or "") + element.tail
    parent.remove(element)
