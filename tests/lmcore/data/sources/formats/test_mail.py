"""Mail: what its writer wrote, in the customs of several programs and languages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import office_files as office
import pytest

from lmcore.data.sources.formats.mail import without_quotes
from lmcore.data.sources.records import BadInput, Record

Put = Callable[[str, str | bytes], Path]
Read = Callable[..., list[Any]]
NEW = "Dear Bob,\n\nthe new text."


@pytest.mark.parametrize(
    "rest",
    [
        "On Mon, 2 Sep 2024 at 10:00, Bob <bob@example.org> wrote:\n> old\n> older\n",
        "Am 02.09.2024 um 10:00 schrieb Bob <bob@example.org>:\n> alt\n",
        "Le lun. 2 sept. 2024 à 10:00, Bob <bob@example.org> a écrit :\n> vieux\n",
        "-----Original Message-----\nFrom: Bob\nSent: Monday\nTo: Ann\nSubject: x\n\nold\n",
        "From: Bob <bob@example.org>\nSent: Monday, 2 September\nTo: Ann\nSubject: x\n\nold\n",
        "> old\n> older\n",
        "-- \nAnn Smith\nHead of Something\n",
    ],
)
def test_quotes_and_signatures_are_left_off(rest: str) -> None:
    assert without_quotes(f"{NEW}\n\n{rest}") == NEW


def test_a_message_that_only_quotes_is_not_lost() -> None:
    assert without_quotes("On Monday Bob had a cold.") == "On Monday Bob had a cold."
    assert without_quotes("") == ""


def test_headers_are_columns_and_the_date_is_known_without_asking(put: Put, read: Read) -> None:
    path = put("a.eml", office.mail("The body."))
    (record,) = read(path)
    assert record == Record(file="a.eml", position=0, text="The body.", date="2024-09-03")
    (record,) = read(path, text_field="subject", target_field="from", date_field="date")
    assert (record.text, record.target) == ("A word", "Ann <ann@example.org>")


def test_a_mailbox_parts_where_it_parts_and_nowhere_else(put: Put, read: Read) -> None:
    bodies = [f"Message {i}.\n\nFrom here on it is the same letter." for i in range(30)]
    items = read(put("a.mbox", office.mbox([office.mail(body) for body in bodies])))
    assert [item.text for item in items] == bodies
    assert [item.position for item in items] == list(range(1, 31))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\n", b"Subject", b"\xff\xfe\x00", b"Content-Type: multipart/mixed\n\nx",
        b"Content-Type: text/plain; charset=nonsense\n\n\xe4", b"Date: never\n\nbody",
        b"Content-Transfer-Encoding: base64\n\n!!!", b"Subject: =?x?y?z?=\n\nbody",
    ],
)  # fmt: skip
def test_broken_messages_are_bad_input_and_nothing_worse(raw: bytes, put: Put, read: Read) -> None:
    (item,) = read(put("a.eml", raw))
    assert isinstance(item, Record | BadInput)


@pytest.mark.timeout(60)
def test_a_header_without_end_is_cut_or_refused(put: Put, read: Read) -> None:
    words, places = b"=?utf-8?q?a?= " * 70_000, b"a@b.c, " * 70_000
    mail = b"Subject: " + words + b"\nTo: " + places + b"\nDate: " + words + b"\n\nWords of a mail."
    (item,) = read(put("a.eml", mail), text_field="subject")
    assert item.text == words[:10_000].decode()
    (found,) = read(put("b.eml", mail))
    assert (found.text, found.date) == ("Words of a mail.", None)
    (bad,) = read(put("c.eml", b"Content-Type: text/plain; " + b"a=b; " * 9_000 + b"\n\nWords."))
    assert "a header Content-Type of" in bad.reason


@pytest.mark.timeout(60)
def test_a_line_without_end_is_no_header_of_a_reply() -> None:
    line = "On " * 300_000
    body = f"Dear Bob,\n{line}\nthe new text."
    assert (
        without_quotes(f"{body}\n\nOn Mon, 2 Sep 2024, Bob <b@example.org> wrote:\n> old\n") == body
    )
