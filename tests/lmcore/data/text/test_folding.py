"""One text has one folded form, whatever it was written with; and what cannot be seen is blank."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.text.folding import FORM_BYTES, fold, fold_letters, form_of, is_blank

PLAIN = (
    'The officer filed "affidavits" and different official briefs - it\'s a\n'
    "well known international café; she said so... twice."
)
LIGATURES = {"ffi": "ﬃ", "ff": "ﬀ", "fi": "ﬁ", "fl": "ﬂ"}


def _ligatures(text: str) -> str:
    for plain, ligature in LIGATURES.items():
        text = text.replace(plain, ligature)
    return text


def _full_width(text: str) -> str:
    return "".join(
        chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else "\u3000" if c == " " else c for c in text
    )


def _between_letters(mark: str) -> Callable[[str], str]:
    return lambda text: mark.join(text)


FORMS: dict[str, Callable[[str], str]] = {
    "soft hyphens": lambda text: text.replace("ti", "t\u00adi").replace("ff", "f\u00adf"),
    "zero-width spaces": _between_letters("\u200b"),
    "zero-width joiners": _between_letters("\u200d"),
    "zero-width non-joiners": _between_letters("\u200c"),
    "word joiners": _between_letters("\u2060"),
    "byte order marks": _between_letters("\ufeff"),
    "directions": lambda text: "\u202e" + text + "\u202c",
    "variation selectors": _between_letters("\ufe0f"),
    "tags": _between_letters("\U000e0061"),
    "Hangul fillers": _between_letters("\u3164"),
    "full width": _full_width,
    "ligatures": _ligatures,
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "composed": lambda text: unicodedata.normalize("NFC", text),
    "broken at line ends": lambda text: text.replace("different", "differ-\nent"),
    "broken by soft hyphens": lambda text: text.replace("international", "inter\u00ad\n  national"),
    "broken as scanned": lambda text: text.replace("international", "inter¬\nnational"),
    "other line ends": lambda text: text.replace(" ", "\n"),
    "blanks that do not break": lambda text: text.replace(" ", "\u00a0"),
    "typographic": lambda text: (
        text.replace(' "', " “").replace('" ', "” ").replace("'", "’").replace(" - ", " – ")
    ),
    "ellipsis": lambda text: text.replace("...", "…"),
    "capitals": str.upper,
    "mathematical letters": lambda text: text.replace("officer", "𝐨𝐟𝐟𝐢𝐜𝐞𝐫"),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_text_in_another_form_is_the_same_text(name: str) -> None:
    other = FORMS[name](PLAIN)
    assert fold(other) == fold(PLAIN)
    assert form_of(other) == form_of(PLAIN)
    assert len(form_of(other)) == FORM_BYTES


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("می\u200cخواهم", "میخواهم"),  # Persian, with and without the non-joiner
        ("क्\u200dष", "क्ष"),  # Devanagari half form
        ("مـحـمـد", "محمد"),  # stretched by tatweels
        ("ﻻ ﷲ", "لا الله"),  # presentation forms
        ("ｶﾞｷﾞ", "ガギ"),  # half-width kana with voicing marks
        ("自然言語\n処理は楽しい", "自然言語処理は楽しい"),  # a line that ends between two letters
        ("ภาษา\nไทย", "ภาษาไทย"),
        ("STRASSE", "straße"),
        ("ſo ſagt", "so sagt"),
        ("⠓⠑⠇⠇⠕\u2800⠺", "⠓⠑⠇⠇⠕ ⠺"),
        ("e\u200b\u0301", "é"),
    ],
)
def test_what_other_scripts_write_in_two_ways(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("co-op", "coop"),  # only the end of a line breaks words
        ("pages 10-\n12", "pages 1012"),
        ("she came —\nlate", "she camelate"),
        ("한국어\n문장", "한국어문장"),  # Korean has blanks between words
        ("resume", "résumé"),
        ("a b", "ab"),
        ("word,", "word"),
    ],
)
def test_different_texts_stay_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_every_character_that_is_drawn_as_nothing_is_dropped_wherever_it_stands() -> None:
    for code in (*range(0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE1000)):
        character = chr(code)
        if is_blank(character) and not character.isspace():
            blank = " " if character == "\u2800" else ""
            assert fold(f"é{character}é") == f"é{blank}é", hex(code)


@settings(deadline=None, max_examples=400)
@given(st.text(max_size=80))
def test_folding_settles(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert " ".join(fold_letters(text).split()) == folded
    assert is_blank(text) >= is_blank(folded)


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_one_other_character_does_not_change_how_ascii_is_folded(text: str) -> None:
    assert fold(text + " \u200b") == fold(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t\u00a0\u3000",
        "\u00ad\u200b\u200c\u200d\u2060",
        "\u3164\u115f\u1160\uffa0",  # fillers of Hangul
        "\u2800\u2800",  # blanks of Braille
        "\x00\x07\x9f",
        "\U000e0041\U000e007f",  # tags
        "\ufe0f\U000e0100\u034f",
        "\ufffc\ufff9\ufffb",
        "\u061c\u202a\u202e\u2069",
    ],
)
def test_nothing_to_see_is_blank(text: str) -> None:
    assert is_blank(text)
    assert fold(text) == ""
    assert not is_blank(text + "x")


@pytest.mark.parametrize("text", ["a", ".", "한", "👍🏽", "\ufffd", "\ue000", "⠁"])
def test_what_can_be_seen_is_not_blank(text: str) -> None:
    assert not is_blank(text)
    assert fold(text) != ""


@pytest.mark.parametrize(
    "unit",
    ["a\u0301\u0327", "\uff9e\u0301", "\u0f73\u0301", "\u0301\u200d\u0327", "-\n", "\u00ad \n"],
)
def test_hostile_text_is_folded_in_linear_time(unit: str) -> None:
    # Sorting or looking ahead over all of it would take hours.
    text = unit * (2_000_000 // len(unit))
    assert len(fold(text)) <= len(text)


def test_a_text_does_not_grow_without_bound() -> None:
    assert len(fold("\ufdfa" * 100_000)) < 8 * 100_000
    # Once in a sentence it is the phrase that it stands for.
    sentence = "قال النبي {} في الحديث الشريف الذي رواه أصحابه عنه"
    assert fold(sentence.format("\ufdfa")) == fold(sentence.format("صلى الله عليه وسلم"))


def test_a_run_of_marks_that_no_text_has_is_no_part_of_the_form() -> None:
    assert fold("word " + "\u0301\u0327" * 500 + " end") == "word end"
    assert fold("e" + "\u0327\u0301" * 20) == fold("e" + "\u0301" * 20 + "\u0327" * 20)
