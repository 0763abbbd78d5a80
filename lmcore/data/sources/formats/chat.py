"""Chats that people export: WhatsApp's text, a channel's day of Slack, JSON with `messages`.

In: a byte stream.  Out: one record for each conversation: what was written, a line
for each message, without who wrote it and when.  Names of people are no text that a
model should learn, and times say nothing.  Lines that the program itself wrote (calls,
missing media, who joined) are left out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any

from lmcore.data.sources.encodings import peek
from lmcore.data.sources.formats.objects import first_character, json_rows
from lmcore.data.sources.formats.text import whole_text
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import BadInput, Piece, Row

# `31/12/2023, 23:59 - Ann: text`, `[31.12.23, 23:59:01] Ann: text`, also with AM and PM.
_WHATSAPP = re.compile(
    "^[\u200e\u200f]?\\[?\\d{1,4}[./-]\\d{1,2}[./-]\\d{2,4},?\\s"
    "\\d{1,2}[:.]\\d{2}(?:[:.]\\d{2})?(?:\\s?[AaPp]\\.?\\s?[Mm]\\.?)?"
    "(?:\\]\\s|\\s-\\s)(?P<rest>.*)"
)
_SPEAKER = re.compile(r"[^:]{1,80}: ")
_BY_THE_PROGRAM = re.compile("^\u200e|^<[^<>]{3,60}>$|^(?:This message was deleted|null)\\.?$")
_SLACK_MARK = re.compile(
    r"<(?P<target>(?:[@#!]|[a-z]{2,12}:)[^<>|]{0,2000})(?:\|(?P<label>[^<>]{0,2000}))?>"
)
_LOOK_LINES = 40


def read_chat(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """Conversations of a chat export."""
    if first_character(stream) in (b"[", b"{") and not looks_like_whatsapp(peek(stream)):
        yield from _json_chat(stream, reading)
        return
    text = whole_text(stream, reading)
    if isinstance(text, BadInput):
        yield text
    elif written := "\n".join(_whatsapp(text)):
        yield Row(file=reading.name, position=0, values={"text": written})
    else:
        yield reading.bad(0, "no chat that is known: expected an export of WhatsApp or Slack")


def looks_like_whatsapp(head: bytes) -> bool:
    """Whether a text begins as a chat exported by WhatsApp does: nearly each line has its time."""
    lines = [
        line for line in head.decode("utf-8", "replace").split("\n")[:_LOOK_LINES] if line.strip()
    ]
    timed = sum(_WHATSAPP.match(line) is not None for line in lines)
    return len(lines) >= 2 and _WHATSAPP.match(lines[0]) is not None and timed >= 0.5 * len(lines)


def looks_like_slack(head: bytes) -> bool:
    """Whether JSON begins as a day of a Slack channel does: a list of messages with `ts`."""
    start = head[:20_000].lstrip()
    return (
        start.startswith(b"[")
        and re.search(rb'"type"\s{0,3}:\s{0,3}"message"', start) is not None
        and re.search(rb'"ts"\s{0,3}:\s{0,3}"\d{9,11}\.\d+"', start) is not None
    )


def _whatsapp(text: str) -> Iterator[str]:
    message: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        begins = _WHATSAPP.match(line)
        if begins is None:
            if message:
                message.append(line)
            continue
        yield from _said(message)
        speaker = _SPEAKER.match(begins["rest"])
        message = [begins["rest"][speaker.end() :]] if speaker else []
    yield from _said(message)


def _said(message: list[str]) -> Iterator[str]:
    text = "\n".join(message).strip()
    if text and not _BY_THE_PROGRAM.search(text):
        yield text


def _json_chat(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    position = 0
    slack: list[str] = []
    is_slack = False
    try:
        for position, row in enumerate(json_rows(stream, records=reading.source.records), start=1):
            if isinstance(row, Mapping) and "messages" in row:
                yield _conversation(row, position, reading)
            elif isinstance(row, Mapping) and "ts" in row:
                is_slack = True
                if row.get("subtype") in (None, "thread_broadcast", "me_message", "bot_message"):
                    slack.append(slack_text(str(row.get("text") or "")))
            else:
                yield reading.bad(position, "no message: it has neither `messages` nor `ts`")
    except (ValueError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        yield reading.bad(position + 1, f"not JSON: {' '.join(reason.split())[:200]}")
    if is_slack:
        text = "\n".join(line for line in slack if line.strip())
        yield Row(file=reading.name, position=0, values={"text": text})


def _conversation(row: Mapping[str, Any], position: int, reading: Reading) -> Piece:
    messages = row["messages"]
    if not isinstance(messages, list) or not all(isinstance(m, Mapping) for m in messages):
        return reading.bad(position, "`messages` is no list of messages")
    texts = []
    for message in messages:
        content = message.get("content", message.get("text"))
        parts = content if isinstance(content, list) else [content]
        for part in parts:
            text = part.get("text") if isinstance(part, Mapping) else part
            if isinstance(text, str) and text.strip():
                texts.append(text)
    values = {**row, "text": "\n".join(texts)}
    return Row(file=reading.name, position=position, values=values)


def slack_text(text: str) -> str:
    """A message without Slack's marks: who is meant is dropped, links keep their words."""

    def shown(match: re.Match[str]) -> str:
        if match["label"] is not None:
            return match["label"]
        target = match["target"]
        return "" if target.startswith(("@", "#", "!")) else target

    return html.unescape(_SLACK_MARK.sub(shown, text)).strip()
