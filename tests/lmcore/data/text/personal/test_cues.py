"""Which words announce a telephone number, and across what they do not."""

import pytest

from lmcore.data.text.personal.cues import names_another, phone_cue, words_before


@pytest.mark.parametrize(
    ("words", "cue"),
    [
        ("Tel. ", "noun"),
        ("Telephone number is ", "noun"),
        ('"phone": "', "noun"),
        ("Handy: ", "noun"),
        ("电话号码是", "noun"),
        ("連絡先 電話番号は", "noun"),
        ("連絡はtel ", "noun"),
        ("call me on ", "verb"),
        ("ring til mig på ", "verb"),
        ("请拨打", "verb"),
        ("the telephone was shown in ", None),
        ("I made a call. There were ", None),
        ("I'm calling it. ", None),
        ("call for EUR ", None),
        ("hotel ", None),
        ("", None),
    ],
)
def test_announcements(words: str, cue: str | None) -> None:
    assert phone_cue(words) == cue


@pytest.mark.parametrize(
    ("words", "another"),
    [
        *(("order no. ", True), ("Ticket ", True), ("Rechnungsnr. ", True), ("订单号：", True)),
        *(("заказ № ", True), ("in order to call ", False), ("Ez az: ", False), ("Tel. ", False)),
    ],
)
def test_words_for_another_number(words: str, another: bool) -> None:
    assert names_another(words) == another


def test_nothing_announces_across_a_number_or_a_placeholder() -> None:
    assert words_before("Tel. 12 and 34", 12) == " and "
    assert words_before("<PHONE> 34", 8) == " "
    assert words_before("phone\n34", 6) == ""
    assert words_before("x" * 200 + "34", 200) == "x" * 48
