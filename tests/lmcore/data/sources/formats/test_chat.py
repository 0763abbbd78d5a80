"""Chats: what was said and nothing else, in the spellings of exports around the world."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmcore.data.sources.formats.chat import looks_like_slack, looks_like_whatsapp, slack_text

Put = Callable[[str, str | bytes], Path]
Read = Callable[..., list[Any]]


@pytest.mark.parametrize(
    "stamp",
    [
        "31/12/2023, 23:59 - ", "12/31/23, 11:59 PM - ", "[31.12.23, 23:59:01] ",
        "31.12.23, 23:59 - ",
        "[2023/12/31 23:59:01] ", "12/31/23, 11:59\u202fPM - ", "\u200e[31/12/2023, 23:59:01] ",
        "31-12-2023 23:59 - ", "[31/12/23, 11:59:01 p.\u00a0m.] ",
    ],
)  # fmt: skip
def test_exports_of_many_countries_are_known(stamp: str, put: Put, read: Read) -> None:
    text = f"{stamp}Ann: Hello: there\n{stamp}Bob Smith: Hi\nand more\n{stamp}Bob added Ann\n"
    (record,) = read(put("chat.txt", text))
    assert record.text == "Hello: there\nHi\nand more"


def test_a_text_that_begins_with_a_date_is_no_chat(put: Put, read: Read) -> None:
    text = "31/12/2023, 23:59 - the year ends.\n" + "A story follows, and it is long.\n" * 20
    assert not looks_like_whatsapp(text.encode())
    assert not looks_like_whatsapp(b"")
    assert read(put("a.txt", text))[0].text.startswith("31/12/2023")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Hi <@U123>, see <#C1|general>", "Hi , see general"),
        ("<https://example.org>", "https://example.org"),
        ("<https://example.org|words> &lt;b&gt;", "words <b>"),
        ("<!here> now", "now"),
        ("a < b and c > d", "a < b and c > d"),
    ],
)
def test_marks_of_slack_are_taken_off(text: str, shown: str) -> None:
    assert slack_text(text) == shown


def test_only_lists_of_messages_with_times_are_slack() -> None:
    message = {"type": "message", "ts": "1700000000.000100", "text": "x"}
    assert looks_like_slack(json.dumps([message]).encode())
    assert not looks_like_slack(json.dumps(message).encode())
    assert not looks_like_slack(json.dumps([{"type": "message", "text": "x"}]).encode())


@pytest.mark.parametrize(
    "content",
    ["no chat", "[1, 2]", '[{"messages": "x"}]', '[{"messages": [1]}]', '[{"a": 1}]', "[{"],
)
def test_what_is_no_chat_is_told(content: str, put: Put, read: Read) -> None:
    items = read(put("a.txt", content), format="chat")
    assert items
    assert all(item.reason for item in items)
