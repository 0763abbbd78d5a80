"""Chats: what was said and nothing else, in the spellings of exports around the world."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmcore.data.sources.formats.chat import looks_like_slack, looks_like_whatsapp, slack_text
from lmcore.data.sources.records import BadInput, LeftOut, Record

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


def test_an_export_is_read_by_its_days_and_not_by_its_lists_of_people(
    tmp_path: Path, read: Read
) -> None:
    folder = tmp_path / "export"
    (folder / "general").mkdir(parents=True)
    message = {"type": "message", "ts": "1700000000.000100", "text": "Good morning."}
    (folder / "general" / "2024-01-01.json").write_text(json.dumps([message]))
    (folder / "users.json").write_text(json.dumps([{"id": "U1", "name": "ann"}]))
    (folder / "channels.json").write_text(json.dumps([{"id": "C1", "name": "general"}]))
    shutil.make_archive(str(tmp_path / "export"), "zip", folder)
    for place, lists in ((folder, ""), (tmp_path / "export.zip", "export.zip/")):
        items = read(place)
        assert [item.text for item in items if isinstance(item, Record)] == ["Good morning."]
        assert not [item for item in items if isinstance(item, BadInput)]
        if lists:
            left = {item.file for item in items if isinstance(item, LeftOut)}
            assert left == {f"{lists}users.json", f"{lists}channels.json"}
    (named,) = read(folder, files="users.json", text_field="name")
    assert named.text == "ann"
    (folder / "general" / "2024-01-01.json").unlink()
    assert len(read(folder, text_field="name")) == 2  # without days it is no such export


@pytest.mark.parametrize(
    "content",
    ["no chat", "[1, 2]", '[{"messages": "x"}]', '[{"messages": [1]}]', '[{"a": 1}]', "[{"],
)
def test_what_is_no_chat_is_told(content: str, put: Put, read: Read) -> None:
    items = read(put("a.txt", content), format="chat")
    assert items
    assert all(item.reason for item in items)
