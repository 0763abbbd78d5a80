"""How a file is read, told by its name and its first bytes, and why one is not read at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

from lmcore.data.config import SourceConfig
from lmcore.data.sources.encodings import as_utf8, marked_encoding, peek, unmarked_utf16
from lmcore.data.sources.formats.chat import looks_like_slack, looks_like_whatsapp
from lmcore.data.sources.kinds import KINDS, Kind, disguise, kind_name, unread_kind


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """A file as it is before its first record is read.

    Attributes:
        format: How it is read.
        encoding: Of its text; empty for bytes that are none.
        stream: Its text as UTF-8, or its bytes.
        head: Its first bytes, as they are.
        problem: Why it is not read; empty if it is.
    """

    format: str
    encoding: str
    stream: IO[bytes]
    head: bytes
    problem: str


def recognise(stream: IO[bytes], *, name: str, config: SourceConfig, seekable: bool) -> Recognised:
    """Tell how a file is read, by its name and its first bytes."""
    format_ = kind_name(config, name)
    head = peek(stream)
    if KINDS[format_].is_binary:
        problem = "" if head else "empty file"
    else:
        stream = as_utf8(stream, encoding=config.encoding)
        problem = _problem(head, peek(stream), kind=KINDS[format_], config=config, name=name)
        if config.format == "auto" and config.requests is None:
            format_ = _looked_at(format_, peek(stream))
    kind = KINDS[format_]
    if not problem and kind.needs_file and not seekable:
        problem = "a packed Parquet file is not read; unpack it"
    encoding = config.encoding or marked_encoding(head) or "utf-8"
    return Recognised(
        format=format_,
        encoding="" if kind.is_binary else encoding,
        stream=stream,
        head=head,
        problem=problem,
    )


def _looked_at(format_: str, head: bytes) -> str:
    """How a file is read by what it begins with, where its name leaves that open."""
    chat = looks_like_whatsapp if format_ == "text" else looks_like_slack
    return "chat" if format_ in ("text", "json") and chat(head) else format_


def _problem(raw: bytes, head: bytes, *, kind: Kind, config: SourceConfig, name: str) -> str:
    """Why a file is no text of its kind; empty if it may be."""
    if not head:
        return "empty file"
    if config.format == "auto" and (why := unread_kind(name)):
        return why
    if what := disguise(raw):
        return f"{what} by its first bytes, not text; give it the ending of what it is"
    if config.encoding is None and (unmarked := unmarked_utf16(head)) is not None:
        return f"UTF-16 without a mark; set encoding: {unmarked}"
    # One NUL makes plain text binary; in a table it costs its row, unless there are many.
    allowed = len(head) // 100 + 1 if kind.shape == "records" else 0
    return "a binary file, not text" if head.count(0) > allowed else ""
