"""The view of a text has its length, and ASCII where typography was."""

from hypothesis import given
from hypothesis import strategies as st

from lmcore.data.text.personal.typography import plain


@given(st.text())
def test_the_view_has_the_length_of_the_text(text: str) -> None:
    view = plain(text)
    assert len(view) == len(text)
    assert plain(view) == view


def test_blanks_hyphens_and_digits_are_those_of_ascii() -> None:
    assert plain("1\u00a02\u202f3\u20094\u20075\u30006") == "1 2 3 4 5 6"
    assert plain("1\u20112\u20123\u20134\u22125") == "1-2-3-4-5"
    assert plain("０３（１２３）－４５") == "03(123)-45"
    assert plain("٠١٢ ۳۴ ५६") == "012 34 56"
    assert plain("x＠example．com：") == "x@example.com:"


def test_letters_and_sentences_stay() -> None:
    text = "Grüße, “quoted” 中文，日本語。"
    assert plain(text) == text
