"""Words and sentences in any script; Latin text is cut as it always was."""

import re

import pytest
import regex
from declaration import ARTICLE_1, UNSPACED
from hypothesis import given
from hypothesis import strategies as st

from lmcore.data.text import words as module
from lmcore.data.text.words import (
    is_unspaced,
    join,
    mostly_unspaced,
    sentences,
    words,
    words_and_signs,
)

_SPACED = sorted(set(ARTICLE_1) - set(UNSPACED))
_LETTERS_OF_WORDS = regex.compile(r"[\p{L}\p{N}\p{M}\u200c]+")


@pytest.mark.parametrize("language", _SPACED)
def test_words_end_at_blanks_and_signs_where_a_language_sets_them(language: str) -> None:
    text = ARTICLE_1[language]
    expected = [_LETTERS_OF_WORDS.search(piece)[0] for piece in re.split(r"\s+", text)]
    assert words(text) == expected
    assert not mostly_unspaced(expected)
    assert "".join(words_and_signs(text)) == re.sub(r"\s", "", text)


@pytest.mark.parametrize("language", UNSPACED)
def test_each_character_with_its_marks_is_a_word_elsewhere(language: str) -> None:
    text = ARTICLE_1[language]
    found = words(text)
    assert "".join(found) == regex.sub(r"[^\p{L}\p{N}\p{M}]", "", text)
    assert all(len(regex.findall(r"[\p{L}--[\u0e33\u0eb3]]", w, regex.V1)) == 1 for w in found)
    assert len(found) > 30
    assert mostly_unspaced(found)
    assert re.sub(r"\s", "", join(words_and_signs(text))) == re.sub(r"\s", "", text)


@pytest.mark.parametrize("language", sorted(ARTICLE_1))
def test_no_word_begins_with_a_mark(language: str) -> None:
    assert not [w for w in words(ARTICLE_1[language]) if regex.match(r"\p{M}", w)]


def test_marks_joiners_and_what_is_not_seen() -> None:
    assert words("मेरी हिन्दी!") == ["मेरी", "हिन्दी"]
    assert words("مَدْرَسَةٌ") == ["مَدْرَسَةٌ"]
    assert words("می\u200cخواهم") == ["می\u200cخواهم"]
    assert words("e\u0301te\u0301") == ["e\u0301te\u0301"]
    assert words("ex\u00adam\u00adple \u200fשלום\u200f.") == ["example", "שלום"]
    assert words("น้ำ") == ["น้ำ"]
    # Nothing but marks, or a picture put together of several, is no word.
    assert words("\u0903\u093f \u0e31 ❤\ufe0f 👨\u200d👩") == []
    assert words("i\u0307stanbul") == ["i\u0307stanbul"]


def test_apostrophes_of_both_kinds_give_the_same_words() -> None:
    assert words("don't") == words("don’t") == ["don", "t"]
    assert words("3.14 for example.com, snake_case and 東京tower2") == [
        *("3", "14", "for", "example", "com", "snake_case", "and", "東", "京", "tower2")
    ]


@given(st.text(st.characters(codec="latin-1", exclude_characters="\u00ad"), max_size=60))
def test_latin_text_is_cut_as_ever(text: str) -> None:
    assert words(text) == re.findall(r"\w+", text)
    assert words_and_signs(text) == re.findall(r"\w+|[^\w\s]", text)


@given(st.text("abc1_ é’'.,-жя\n\u00b2", max_size=40))
def test_all_patterns_agree_on_plain_text(text: str) -> None:
    for pattern in module._WORD:
        assert pattern.findall(text) == words(text)
    for pattern in module._WORD_OR_SIGN:
        assert pattern.findall(text) == words_and_signs(text)


@given(st.text(max_size=60))
def test_words_are_pieces_in_order_whatever_the_text(text: str) -> None:
    seen = module._UNSEEN.sub("", text)
    for cut in (words, words_and_signs):
        place = 0
        for piece in cut(text):
            place = seen.index(piece, place) + len(piece)
    assert sum(c.isalnum() for w in words(text) for c in w) >= sum(
        c.isalnum() for c in seen if regex.match(r"[\p{L}\p{N}]", c)
    )


@given(st.text(st.characters(categories=["L", "M", "Nd", "Zs", "Po"]), max_size=40))
def test_words_end_wherever_unicode_ends_them(text: str) -> None:
    # Two words of Unicode are never one of ours; only signs inside words make more of them.
    edges = {m.start() for m in regex.finditer(r"\b", text, regex.WORD)} | {0, len(text)}
    for found in regex.finditer(module._WORD[2].pattern, text, regex.V1):
        inside = set(range(found.start() + 1, found.end())) & edges
        assert not inside or not regex.fullmatch(r"[\p{WB=ALetter}\p{WB=Numeric}]+", found[0])


@pytest.mark.parametrize("language", sorted(ARTICLE_1))
def test_sentences_end_as_each_language_ends_them(language: str) -> None:
    found = sentences(ARTICLE_1[language])
    assert len(found) == {"es": 1, "ta": 3, "ur": 3}.get(language, 2)
    if language not in {"zh", "ja"}:
        assert " ".join(found) == ARTICLE_1[language]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four… Five\nSix", ["One.", "Two!", "Three?", "Four…", "Five", "Six"]),
        ("1.5 or 3.14.15", ["1.5 or 3.14.15"]),
        ('"I see." He left. (So it is.) Yes', ['"I see."', "He left.", "(So it is.)", "Yes"]),
        ("„Ja.“ Sie ging. « Oui ! » Il", ["„Ja.“", "Sie ging.", "« Oui ! »", "Il"]),
        ("Ah! »Ja!« Sie", ["Ah!", "»Ja!«", "Sie"]),
        ('"Who?" and "why?" he asked.', ['"Who?" and "why?" he asked.']),
        ("好。“好！”他说？是", ["好。", "“好！”", "他说？", "是"]),
        ("はい。「はい。」と", ["はい。", "「はい。」", "と"]),
        ("क्या? हाँ।नहीं॥ ठीक", ["क्या?", "हाँ।", "नहीं॥", "ठीक"]),
        ("ما هذا؟ كتاب. یہ ہے۔ وہ", ["ما هذا؟", "كتاب.", "یہ ہے۔", "وہ"]),
        ("３．１４です．はい", ["３．１４です．", "はい"]),
        ("བོད་ཡིག །ཀློག་པ།", ["བོད་ཡིག །", "ཀློག་པ།"]),
        ("Τι είναι; Ναι.", ["Τι είναι;", "Ναι."]),
        ("Ask; then act.", ["Ask; then act."]),
        ("ราคา 5 บาท มาก", ["ราคา 5 บาท", "มาก"]),
        ("!!! ... ?", ["!!!", "...", "?"]),
        (" no end ", ["no end"]),
        ("", [""]),
    ],
)
def test_sentence_ends(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text("ab.!?\"' \n。」।", max_size=40))
def test_sentences_lose_nothing_but_white_space(text: str) -> None:
    assert re.sub(r"\s", "", "".join(sentences(text))) == re.sub(r"\s", "", text)


def test_hostile_runs_are_linear() -> None:
    # Each of them takes minutes where a pattern is quadratic.
    for run in ("\u0301", "a\u0301", '."', ". ", "。」", ". a", "\u200d", "ก ", "中\u0301"):
        text = run * 200_000
        assert len(sentences(text)) >= 1
        assert len(words(text)) <= len(text)


def test_unspaced_pieces_are_known_by_their_first_character() -> None:
    assert all(map(is_unspaced, ["中", "か", "カー", "ー", "ก็", "ភា", "မြ", "ລ"]))
    assert not any(map(is_unspaced, ["", "a", "и", "हि", "한국", "。", "1", "\u0301"]))
    assert join(["Das", "中", "文", "ist", "schwer"]) == "Das 中文 ist schwer"
