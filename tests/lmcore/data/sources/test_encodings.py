"""Marks are followed, names obeyed, guesses told; what is no text costs its line alone."""

import codecs
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.sources.encodings import (
    Misread,
    as_utf8,
    guess,
    marked_encoding,
    peek,
    unmarked_utf16,
)

# A mark of UTF-16 and a NUL behind it are the mark of UTF-32.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)
MARKS = {
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
WORDS = {
    "cp1252": "Der Bär läuft über die Straße und grüßt die Nachbarin.",
    "cp1250": "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "cp1251": "Все люди рождаются свободными и равными в своём достоинстве.",
    "koi8_r": "Все люди рождаются свободными и равными в своём достоинстве.",
    "gb18030": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心。",
    "cp932": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "cp949": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "cp1253": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια.",
}


def stream(data: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(data))


@settings(deadline=None)
@given(text=TEXT, encoding=st.sampled_from(sorted(MARKS)), size=st.integers(1, 70))
def test_a_mark_says_what_follows(text: str, encoding: str, size: int) -> None:
    found = as_utf8(stream(MARKS[encoding] + text.encode(encoding)), encoding=None)
    pieces = []
    while piece := found.read(size):
        pieces.append(piece)
    assert b"".join(pieces).decode() == text


@settings(deadline=None)
@given(text=TEXT)
def test_utf8_passes_as_it_is_but_for_its_mark(text: str) -> None:
    data = text.encode()
    for encoding in (None, "utf-8", "UTF8"):
        found = as_utf8(stream(codecs.BOM_UTF8 + data), encoding=encoding)
        assert found.read() == data


def test_a_named_encoding_is_obeyed_and_what_it_does_not_know_is_no_utf8() -> None:
    data = "Bär\n".encode("cp1252") + b"\x81\n" + "Ära\n".encode("cp1252")
    lines = as_utf8(stream(data), encoding="cp1252").read().split(b"\n")
    assert lines[0].decode() == "Bär"
    with pytest.raises(UnicodeDecodeError):
        lines[1].decode()
    assert lines[2].decode() == "Ära"
    assert as_utf8(stream("ä".encode("utf-16-le")), encoding="utf-16").read().decode() == "ä"
    assert as_utf8(stream("ä".encode("utf-16")), encoding="utf-16").read().decode() == "ä"
    assert as_utf8(stream(b"a\x00b"), encoding="utf-16-le").read()[:1] == b"a"


def test_marks_of_utf32_are_not_taken_for_those_of_utf16() -> None:
    for encoding, mark in MARKS.items():
        assert marked_encoding(mark + "a".encode(encoding)) == encoding
    assert marked_encoding(codecs.BOM_UTF8) is None
    assert marked_encoding(b"") is None


@pytest.mark.parametrize(("encoding", "text"), WORDS.items())
def test_a_guess_names_the_encoding_of_a_sentence(encoding: str, text: str) -> None:
    assert guess(text.encode(encoding)) == encoding
    said = Misread(None, text.encode(encoding)).reason(text.encode(encoding))
    assert f"set encoding: {encoding}" in said


def test_nothing_is_guessed_from_next_to_nothing() -> None:
    assert guess(b"caf\xe9") is None
    assert Misread(None, b"").reason(b"\xff") == "invalid UTF-8"
    assert Misread("cp1252", b"").reason(b"\x81") == "invalid cp1252"
    assert Misread(None, MARKS["utf-16-le"]).reason(b"\xff") == "invalid utf-16-le"


def test_zeros_tell_utf16_without_a_mark_from_bytes() -> None:
    assert unmarked_utf16("Plain text".encode("utf-16-le")) == "utf-16-le"
    assert unmarked_utf16("Plain text".encode("utf-16-be")) == "utf-16-be"
    assert unmarked_utf16(b"Plain text") is None
    assert unmarked_utf16(bytes(100)) is None


def test_peeking_leaves_the_bytes() -> None:
    found = stream(b"abc")
    assert peek(found) == b"abc"
    assert found.read() == b"abc"
    assert peek(io.BytesIO(b"abc")) == b""
