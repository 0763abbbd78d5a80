"""Numbers get the digits they deserve; strangers' text keeps its content and loses its effect."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lmcore.reporting.text import (
    clip,
    duration,
    fence,
    interval,
    markdown,
    number,
    one_line,
    percent,
    size,
    slug,
    visible,
)

NASTY = st.text(
    alphabet=st.one_of(
        st.sampled_from("`~*_[]()<>!|#\\&;:/.-+=$@{}\n\r\t\"'\x00\x1b\u202e w1"), st.characters()
    ),
    max_size=60,
)
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@pytest.mark.parametrize(
    ("value", "unit", "width", "expected"),
    [
        (1.50312, "bits/byte", 0.044, "1.503"),
        (-0.02134, "bits/byte", 0.0079, "−0.0213"),
        (3_412_480.0, "parameters", None, "3,412,480"),
        (12043.2, "tokens/s", None, "12,043"),
        (0.1, "", None, "0.1"),
        (-0.005, "", None, "−0.005"),
        (3.1e-6, "", None, "3.1e−6"),
        (0, "", None, "0"),
        (0.0418, "share", 0.0969, "4.2 %"),
        (0.1, "share", None, "10 %"),
        (0.0, "share", None, "0 %"),
        (-1e-9, "", 0.5, "0.00"),
        (1.0, "", 0.2, "1.00"),
        (2, "", None, "2"),
        (None, "", None, "–"),
        (1e100, "", 1e-100, "1e+100"),
        (1.0, "", -0.2, "1"),
    ],
)
def test_number_shows_the_digits_that_its_interval_supports(value, unit, width, expected):
    assert number(value, unit=unit, width=width) == expected


def test_an_interval_says_which_bound_it_has():
    assert interval(1.482, 1.526) == "1.482 to 1.526"
    assert interval(None, 0.25) == "at most 0.25"
    assert interval(-0.25, None) == "at least −0.25"
    assert interval(None, None) == ""


def test_amounts_have_units_for_people():
    assert [duration(s) for s in (3.21, 61, 3_725, None)] == [
        "3.2 s",
        "1 min 1 s",
        "1 h 2 min",
        "–",
    ]
    assert [size(b) for b in (12, 85_531, 12_031_442, 3e9)] == [
        "12 B",
        "85.5 kB",
        "12.0 MB",
        "3.0 GB",
    ]
    assert [percent(s) for s in (1, 0.101, 0.0001, 0)] == ["100 %", "10.1 %", "< 0.1 %", "0 %"]


def test_a_slug_has_letters_and_digits_only():
    assert slug("Ünknown / Licence!") == "unknown-licence"
    assert slug("💥") == "model"


def test_text_that_could_act_is_made_visible():
    assert visible("a\x00b\x1b[31m\x7f") == "a␀b␛[31m␡"
    assert visible("\u202eevil\u202c") == "[U+202E]evil[U+202C]"
    assert visible("one\r\ntwo\rthree") == "one\ntwo\nthree"
    assert visible("\udc80") == "\ufffd"
    assert visible("שלום e\u0301 👩‍👩‍👧") == "שלום e\u0301 👩‍👩‍👧"


def test_a_long_text_says_how_much_is_missing():
    assert clip("x" * 10, 4) == "xxxx… (6 more characters)"
    assert one_line(" a\n\n b ", 10) == "a b"


@given(NASTY)
@settings(deadline=None, max_examples=300)
def test_visible_text_can_be_stored_and_has_no_controls(text):
    shown = visible(text)
    shown.encode("utf-8")
    assert not any((ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 for c in shown)
    assert visible(shown) == shown


@given(NASTY)
@settings(deadline=None, max_examples=300)
def test_escaped_markdown_means_the_text_itself(text):
    tokens = MARKDOWN.parse("x " + markdown(text, 1_000))
    kinds = [token.type for token in tokens]
    assert kinds == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children) == f"x {one_line(text, 1_000)}".strip()


@given(NASTY, NASTY)
@settings(deadline=None, max_examples=200)
def test_escaped_markdown_cannot_leave_its_table_cell(first, second):
    table = f"| a | b |\n| --- | --- |\n| x{markdown(first)} | y{markdown(second)} |\n\nafter"
    tokens = MARKDOWN.parse(table)
    cells = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "td_open"]
    assert len(cells) == 2
    assert cells[1].startswith("y")
    assert tokens[-2].content == "after"


@given(NASTY)
@settings(deadline=None, max_examples=300)
def test_a_fence_holds_whatever_it_is_given(text):
    tokens = MARKDOWN.parse(f"before\n\n{fence(text)}\n\nafter")
    assert [token.type for token in tokens if token.type == "fence"] == ["fence"]
    block = next(token for token in tokens if token.type == "fence")
    assert block.content == visible(text) + "\n"
    assert tokens[-2].content == "after"
