"""One small file of every kind that offices have: its text is read, or one sentence refuses it."""

# ruff: noqa: E501 (one line a file reads best)

import gzip
import json
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import office_files as office
import pytest

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.sources.kinds import (
    KINDS,
    disguise,
    has_no_text,
    libraries_of,
    library_versions,
    unread_kind,
)
from lmcore.data.sources.records import BadInput, LeftOut, Record
from lmcore.errors import SourceError

RIVER = [
    f"Paragraph {word} says that the river runs to the sea, and that nobody knows why it does so."
    for word in ("one", "two", "three", "four")
]
WHATSAPP = (
    "31/12/2023, 23:58 - Messages and calls are end-to-end encrypted.\n"
    "31/12/2023, 23:59 - Ann: Are you there?\nStill up?\n"
    "01/01/2024, 00:01 - Bob: Happy new year\n01/01/2024, 00:02 - Bob: <Media omitted>\n"
)
SLACK = json.dumps(
    [
        {"type": "message", "user": "U1", "ts": "1700000000.000100", "text": "Hi <@U2>, read it"},
        {"type": "message", "subtype": "channel_join", "ts": "1700000001.0001", "text": "joined"},
        {"type": "message", "ts": "1700000002.0001", "text": "<https://x.org|the page> &amp; on"},
    ]
)
QUOTED = (
    "Dear Bob,\n\nthe new text.\n\nOn Mon, 2 Sep 2024 at 10:00, Bob <bob@example.org> wrote:\n"
    "> the old text\n> and more\n"
)
GERMAN = "Der Bär läuft über die Straße und grüßt höflich."
RUSSIAN = "Все люди рождаются свободными и равными в своём достоинстве и правах."
CHINESE = "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心。"
JAPANESE = "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"


@dataclass(frozen=True)
class Case:
    """A file, how it is configured, and what comes of it: texts, or words of a refusal."""

    name: str
    content: str | bytes
    texts: list[str] = field(default_factory=list)
    refusal: str = ""
    left_out: str = ""
    config: dict[str, Any] = field(default_factory=dict)


def case(name: str, content: str | bytes, *texts: str, **known: Any) -> Case:
    named = {key: known.pop(key) for key in ("refusal", "left_out") if key in known}
    return Case(name=name, content=content, texts=list(texts), config=known, **named)


CASES = [
    # Web pages.
    case("page.html", office.html_page(RIVER), "\n".join(["On rivers", *RIVER])),
    case("note.htm", "<html><body><p>Dear Ann,<br>see you&nbsp;soon.</body></html>", "Dear Ann,\nsee you\u00a0soon."),
    case("latin.html", "<meta charset=iso-8859-1><p>Café Müller – nein".replace("–", "-").encode("latin-1"), "Café Müller - nein"),
    case("empty.html", "<html><head><title>x</title></head><body></body></html>", refusal="without any text"),
    case("raw.html", "<p>tags</p>", "<p>tags</p>", format="text"),
    # Documents.
    case("report.pdf", office.pdf(["First page.", "Café."]), "First page.\n\nCafé."),
    case("scan.pdf", office.pdf([None, None]), refusal="2 scanned pages and no text layer"),
    case("part.pdf", office.pdf(["Typed.", None]), "Typed.", left_out="page 2"),
    case("locked.pdf", office.encrypted_pdf(), refusal="encrypted"),
    case("cut.pdf", office.pdf(["text"])[:40], refusal="not PDF that can be read"),
    case("letter.docx", office.docx(["Dear Ann,", "goodbye."], table=["a", "b"]), "Dear Ann,\n\ngoodbye.\n\na\n\nb"),
    case("tracked.docx", office.docx(["It is"], tracked=True), "It is new"),
    case("cut.docx", office.docx(["text"])[:300], refusal="zip"),
    case("letter.odt", office.odt(["Grüße", "aus Köln"]), "Grüße\n\naus Köln"),
    case("letter.rtf", r"{\rtf1\ansi\ansicpg1252 Hello \b bold\b0  caf\'e9 \u8364?\par Next.}", "Hello bold café €\nNext."),
    case("no.rtf", "plain", refusal="not RTF"),
    case("book.epub", office.epub(["Chapter one é.", "Chapter two."]), "Chapter one é.\n\nChapter two."),
    case("cut.epub", office.epub(["x"])[:90], refusal="zip"),
    case("post.md", "---\ntitle: Hello\ndate: 2024-05-01\n---\n# Head\n\nBody *text*.\n", "# Head\n\nBody *text*.\n"),
    case("rule.md", "---\nno: [front\n---\nBody\n", "---\nno: [front\n---\nBody\n"),
    case("code.py", "def answer():\n    return 42\n", "def answer():\n    return 42"),
    case("notes", "A file without an ending.", "A file without an ending."),
    case("film.srt", "1\n00:00:01,000 --> 00:00:02,000\n<i>Hello</i> there.\n\n2\n00:00:03,000 --> 00:00:04,000\nBye.\n", "Hello there.\nBye."),
    case("film.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\nHello.\n", "Hello."),
    case("no.srt", "no times at all", refusal="subtitles"),
    # Mail.
    case("one.eml", office.mail(QUOTED), "Dear Bob,\n\nthe new text."),
    case("signed.eml", office.mail("Hello.\n\n-- \nAnn Smith\n+1 555 0100\n"), "Hello."),
    case("cp.eml", office.mail("Grüße aus Köln", encoding="iso-8859-1"), "Grüße aus Köln"),
    case("page.eml", office.mail("<p>New &amp; short.</p><blockquote>old</blockquote>", kind="html"), "New & short."),
    case("parts.eml", office.multipart_mail("The plain text.\n", "<p>The page.</p>"), "The plain text."),
    case("subject.eml", office.mail("The body."), "The body.", target_field="subject"),
    case("no.eml", "no headers here\n\n", refusal="not a mail"),
    case("box.mbox", office.mbox([office.mail("First."), office.mail("Second.\nFrom here on.")]), "First.", "Second.\nFrom here on."),
    case("no.mbox", "text\n", refusal="not a mailbox"),
    # Chats.
    case("whatsapp.txt", WHATSAPP, "Are you there?\nStill up?\nHappy new year"),
    case("2024-01-01.json", SLACK, "Hi , read it\nthe page & on"),
    case("turns.jsonl", office.json_lines({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}), "Hi\nHello!", text_field="messages[].content"),
    case("parts.jsonl", office.json_lines({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}), "Hi", format="chat"),
    case("untold.jsonl", office.json_lines({"messages": [{"role": "user", "content": "Hi"}]}), refusal="messages[].content"),
    # Objects.
    case("list.json", json.dumps([{"text": "one"}, {"text": "two"}]), "one", "two"),
    case("one.json", json.dumps({"text": "only"}), "only"),
    case("inside.json", json.dumps({"data": {"rows": [{"text": "one"}]}}), "one", records="data.rows"),
    case("cut.json", '[{"text": "one"}, {"te', "one", refusal="not JSON"),
    case("deep.jsonl", office.json_lines({"data": {"article": {"body": "deep"}}}), "deep", text_field="data.article.body"),
    case("pair.jsonl", office.json_lines({"translation": {"de": "Haus", "en": "house"}}), "Haus", text_field="translation.de", target_field="translation.en"),
    case("dotted.jsonl", office.json_lines({"a.b": "dotted", "a": {"b": "nested"}}), "dotted", text_field="a.b"),
    case("separators.jsonl", office.json_lines({"text": "one\u2028two"}), "one\u2028two"),
    case("list.yaml", "- text: one\n- text: |\n    two\n    lines\n", "one", "two\nlines\n"),
    case("several.yml", "text: one\n---\ntext: two\n", "one", "two"),
    case("alias.yaml", "a: &a [x]\nb: *a\n", refusal="aliases"),
    # Tables.
    case("semicolon.csv", "text;label\nHello, world;1\nBye;0\n", "Hello, world", "Bye"),
    case("pipe.csv", "id|text\n1|Hello, you\n", "Hello, you"),
    case("given.csv", "text^label\na,b^1\n", "a,b", delimiter="^"),
    case("single.csv", "text\nHello, world\nBye; now\n", "Hello, world", "Bye; now"),
    case("headless.tsv", "good\t1\nbad\t0\n", "good", "bad", columns=["text", "label"]),
    case("quoted.tsv", 'text\tn\n"a\tb"\t1\n', "a\tb", quote="double"),
    case("marked.csv", "\ufefftext,n\none,1\n".encode(), "one"),
    case("wide.csv", "text,label\nBär,1\n".encode("utf-16"), "Bär"),
    case("book.xlsx", office.xlsx({"One": [["id", "text"], [1, "hello"], [2, "bye"]], "Other": [["x"], [1]]}), "hello", "bye", left_out="Other"),
    case("no.xlsx", office.xlsx({"One": [["id"], [1]]}), refusal="has no column 'text'"),
    case("packed.csv.gz", gzip.compress(b"text;n\nHello;1\n"), "Hello"),
    # Encodings.
    case("utf16.txt", GERMAN.encode("utf-16"), GERMAN),
    case("utf32.txt", GERMAN.encode("utf-32"), GERMAN),
    case("unmarked.txt", GERMAN.encode("utf-16-le"), refusal="encoding: utf-16-le"),
    case("western.txt", GERMAN.encode("cp1252"), refusal="encoding: cp1252"),
    case("told.txt", GERMAN.encode("cp1252"), GERMAN, encoding="cp1252"),
    case("latin1.txt", GERMAN.encode("latin-1"), GERMAN, encoding="latin-1"),
    case("koi.txt", RUSSIAN.encode("koi8-r"), RUSSIAN, encoding="koi8-r"),
    case("untold-koi.txt", RUSSIAN.encode("koi8-r"), refusal="encoding: koi8_r"),
    case("gb.txt", CHINESE.encode("gb18030"), CHINESE, encoding="gb18030"),
    case("sjis.txt", JAPANESE.encode("shift_jis"), JAPANESE, encoding="shift_jis"),
    case("wrong.txt", b"\x81\x81\x81", refusal="invalid cp1252", encoding="cp1252"),
    # What is not read.
    case("old.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), refusal="save it as .docx"),
    case("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), refusal="save it as .xlsx"),
    case("slides.pptx", b"PK\x03\x04" + bytes(100), refusal="save it as .pdf"),
    case("disguised.txt", office.pdf(["text"]), refusal="a PDF by its first bytes"),
]  # fmt: skip


def _read(reading: Callable[[], list[Any]]) -> tuple[list[Any], str]:
    try:
        return reading(), ""
    except SourceError as error:
        return [], str(error)


@pytest.mark.parametrize("given", CASES, ids=lambda given: given.name)
def test_each_kind_of_file_is_read_right_or_refused_in_one_sentence(
    given: Case, tmp_path: Path, read: Callable[..., list[Any]]
) -> None:
    path = tmp_path / given.name
    path.write_bytes(given.content if isinstance(given.content, bytes) else given.content.encode())
    items, refusal = _read(lambda: read(path, **given.config))
    if refusal:
        assert given.refusal
        assert given.refusal in refusal
        assert "\n" not in refusal
        return
    assert [item.text for item in items if isinstance(item, Record)] == given.texts
    reasons = [item.reason for item in items if isinstance(item, BadInput)]
    assert len(reasons) == (given.refusal != ""), reasons
    assert all(given.refusal in reason and "\n" not in reason for reason in reasons)
    told = [f"{item.file} {item.reason}" for item in items if isinstance(item, LeftOut)]
    assert len(told) == (given.left_out != ""), told
    assert all(given.left_out in line for line in told)


def test_a_corpus_of_all_kinds_is_read_as_one_and_nothing_is_lost_unnamed(
    tmp_path: Path, read: Callable[..., list[Any]]
) -> None:
    plain = [case for case in CASES if not case.config]
    assert len(CASES) >= 60
    names = {
        "page.html", "report.pdf", "letter.docx", "letter.odt", "letter.rtf", "book.epub",
        "post.md", "film.srt", "one.eml", "box.mbox", "whatsapp.txt", "2024-01-01.json",
        "list.json", "list.yaml", "semicolon.csv", "book.xlsx", "packed.csv.gz", "utf16.txt",
    }  # fmt: skip
    chosen = [case for case in plain if case.name in names]
    assert len(chosen) == len(names)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for given in chosen:
            content = given.content if isinstance(given.content, bytes) else given.content.encode()
            (tmp_path / given.name).write_bytes(content)
            if not given.name.endswith(".gz"):
                archive.writestr(given.name, content)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    for place in (tmp_path / "all.zip", tmp_path):
        items = read(place, data=DataConfig(unit="file"), files=None)
        texts = {item.text.strip("\n") for item in items if isinstance(item, Record)}
        packed = place.suffix == ".zip"
        expected = {
            text.strip("\n")
            for given in chosen
            for text in given.texts
            if not (packed and given.name.endswith(".gz"))
        }
        assert texts == expected
        assert not [item for item in items if isinstance(item, BadInput)]


def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, read: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.docx"
    path.write_bytes(office.docx(["text"]))
    (tmp_path / "docx.py").write_text("raise ImportError(name='docx')")
    monkeypatch.syspath_prepend(tmp_path)
    # Another thread has no process yet that found the library.
    with (
        ThreadPoolExecutor() as threads,
        pytest.raises(SourceError, match=r"a\.docx: reading DOCX .*'lmcore\[office\]'"),
    ):
        threads.submit(read, path).result()


def test_the_libraries_that_decide_what_text_is_are_named_with_their_releases() -> None:
    source = SourceConfig(path="-")
    assert libraries_of(source, ["a.txt", "b.csv.gz"]) == ()
    assert libraries_of(source, ["a.pdf", "b.eml", "c.pdf"]) == (
        *("inscriptis", "mail-parser-reply", "pypdf"),
    )
    every = {library for kind in KINDS.values() for library in kind.libraries}
    assert set(libraries_of(source, ["a.zip"])) == every
    versions = library_versions(every, ["no-such-thing"])
    assert versions.pop("no-such-thing") is None
    assert all(versions.values())


def test_names_tell_kinds_and_none_is_told_twice() -> None:
    endings = [ending for kind in KINDS.values() for ending in kind.endings]
    assert len(endings) == len(set(endings))
    assert not any(has_no_text(f"a{ending}") or unread_kind(f"a{ending}") for ending in endings)
    assert has_no_text("a/B.PNG")
    assert not has_no_text("png")
    assert unread_kind("a.doc") == ".doc files are not read; save it as .docx"
    assert disguise(b"%PDF-1.7") == "a PDF"
    assert disguise(b"plain") == ""
