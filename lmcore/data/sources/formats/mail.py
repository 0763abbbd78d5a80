"""Mail: what its writer wrote, without what was quoted, the signature and the headers.

In: one message (`.eml`) or a mailbox of them (mbox).  Out: for each message `text`,
and subject, from, to, date and message_id as columns, so that a subject can be the
target and a date decides about `as_of`.  Of several parts the plain text counts, and
HTML only where there is none.
"""

from __future__ import annotations

import email.message
import email.policy
import email.utils
import re
from collections.abc import Iterator
from typing import IO, Any

from lmcore.data.sources.formats.html import visible_text
from lmcore.data.sources.formats.whole_file import missing_library
from lmcore.data.sources.lines import Line, iter_lines
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import Piece, Row

MAX_BODY = 1 << 20
#: Decoding one takes the square of its length.
MAX_HEADER = 10_000
_LONG_LINE = 1_000
_MARK = "\ue000"
_MARKED = re.compile(f"{_MARK}(\\d+){_MARK}")
_LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pl", "sv", "da", "cs", "ja", "ko", "zh"]
_QUOTED = (
    "//blockquote|//*[contains(@class,'gmail_quote') or contains(@class,'gmail_signature')"
    " or contains(@class,'yahoo_quoted') or @id='divRplyFwdMsg' or @id='appendonsend'"
    " or contains(@class,'moz-cite-prefix') or contains(@class,'moz-signature')]"
)
_SIGNATURE = re.compile(r"^-- ?\r?$", re.MULTILINE)


def read_mail(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """One message."""
    raw = stream.read(reading.max_bytes + 1)
    if len(raw) > reading.max_bytes:
        yield reading.bad(0, f"longer than data.max_document_bytes={reading.max_bytes}")
        return
    yield _message(raw, 0, reading)


def read_mbox(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """Each message of a mailbox; positions are those of messages, from 1."""
    position, size = 0, 0
    lines: list[bytes] = []
    begun = blank = False
    for line in _with_end(iter_lines(stream, max_bytes=reading.max_bytes)):
        data = line.data if line is not None else b"From "
        if data is None:
            size = reading.max_bytes + 1
        elif data.startswith(b"From ") and (blank or not begun or line is None):
            if begun:
                position += 1
                if size > reading.max_bytes:
                    reason = f"longer than data.max_document_bytes={reading.max_bytes}"
                    yield reading.bad(position, reason)
                else:
                    yield _message(b"\n".join(lines), position, reading)
            lines, size, begun = [], 0, True
        elif not begun:
            if data.strip():
                yield reading.bad(0, "not a mailbox: it does not begin with a line `From `")
                return
        else:
            size += len(data) + 1
            if size <= reading.max_bytes:
                lines.append(re.sub(rb"^>(>*From )", rb"\1", data))
        blank = data is not None and not data.strip()


def _with_end(lines: Iterator[Line]) -> Iterator[Line | None]:
    yield from lines
    yield None


def _message(raw: bytes, position: int, reading: Reading) -> Piece:
    try:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        if not message.keys():
            return reading.bad(position, "not a mail: it has no headers")
        _check_parts(message)
        body = written_text(message)
        about = {
            name: _header(message, header)
            for name, header in (
                ("subject", "subject"),
                ("from", "from"),
                ("to", "to"),
                ("message_id", "message-id"),
            )
        }
        day = _day(message)
    except ImportError as error:
        raise missing_library(error, reading.name, kind="mail") from error
    except MemoryError:  # no fault of the format
        raise
    except Exception as error:  # the parser raises what it likes on a hostile message
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        return reading.bad(position, f"not a mail that can be read: {reason}")
    # A mail says when it was written, whether or not the configuration asks.
    values = {**about, "date": day or "", "text": body}
    return Row(file=reading.name, position=position, values=values, date=day)


def _header(message: Any, name: str) -> str:
    """A header's value; one that is too long to be decoded as it stands, and cut."""
    raw = next((str(value) for key, value in message.raw_items() if key.lower() == name), "")
    return raw[:MAX_HEADER] if len(raw) > MAX_HEADER else str(message.get(name, ""))


def _check_parts(message: Any) -> None:
    """See that what says how parts are written can be read in little time.

    Raises:
        ValueError: If it cannot.
    """
    for part in message.walk():
        for key, value in part.raw_items():
            if key.lower().startswith("content-") and len(str(value)) > MAX_HEADER:
                raise ValueError(f"a header {key[:40]} of {len(str(value)):,} characters")


def _day(message: Any) -> str | None:
    try:
        return email.utils.parsedate_to_datetime(_header(message, "date")).date().isoformat()
    except (TypeError, ValueError, IndexError):
        return None


def written_text(message: Any) -> str:
    """What the writer of a message wrote: no quotes, no signature."""
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    raw = part.get_payload(decode=True) or b""
    charset = part.get_content_charset() or "utf-8"
    try:
        body = raw.decode(charset)
    except (LookupError, ValueError):
        body = (
            raw.decode("utf-8", "replace")
            if charset != "utf-8"
            else raw.decode("cp1252", "replace")
        )
    body = body[:MAX_BODY].replace("\r\n", "\n")
    if part.get_content_type() == "text/html":
        body = visible_text(body, without=_QUOTED)
    return without_quotes(body)


def without_quotes(body: str) -> str:
    """A mail's plain text without quoted mail and signature."""
    from mailparser_reply import EmailReplyParser

    body = _SIGNATURE.split(body, maxsplit=1)[0]
    lines = body.replace(_MARK, "").split("\n")
    # No line that begins a quote is so long; to look for one in it takes the cube of its length.
    shown = (f"{_MARK}{i}{_MARK}" if len(x) > _LONG_LINE else x for i, x in enumerate(lines))
    reply = EmailReplyParser(languages=_LANGUAGES).parse_reply(text="\n".join(shown))
    reply = _MARKED.sub(lambda found: lines[int(found[1])], reply or "")
    kept = reply if reply.strip() else body
    return "\n".join(line for line in kept.split("\n") if not line.startswith(">")).strip()
