"""Cleaning: what each rule does, that it is recorded, and that it settles."""

import hashlib
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.text.cleaning import (
    MAX_COMBINING_RUN,
    UnusableTextError,
    clean,
    document_id,
    utf8_bytes,
)


@pytest.mark.parametrize(
    ("raw", "expected", "rule", "removed"),
    [
        ("\ufeffhel\ufefflo", "hello", "byte_order_mark", 6),
        ("a\r\nb\rc\x0cd\x0be", "a\nb\nc\nd\ne", "line_endings", 1),
        ("a\x00b\x07c\x1b[0m\x7f", "abc[0m", "control_characters", 4),
        ("wait\x85 \x93so\x94", "wait… “so”", "windows_1252", -3),
        ("a  \nb\t \n\n", "a\nb", "trailing_space", 6),
        ("cafe\u0301", "café", "unicode_nfc", 1),
    ],
)
def test_each_rule_changes_and_records(raw: str, expected: str, rule: str, removed: int) -> None:
    cleaned = clean(raw)
    assert cleaned.text == expected
    assert [(c.rule, c.removed_bytes) for c in cleaned.changes] == [(rule, removed)]


def test_clean_text_passes_untouched() -> None:
    text = "Tabs\tand\n\nblank lines, <b>markup</b> &amp; 中文 stay as they are."
    assert clean(text).text == text
    assert clean(text).changes == ()


@pytest.mark.parametrize("text", ["\ud800", "ok \udc80 escaped byte"])
def test_surrogates_are_refused_and_not_replaced(text: str) -> None:
    with pytest.raises(UnusableTextError, match=r"surrogate|invalid UTF-8"):
        clean(text)


def test_a_run_of_combining_marks_is_refused_before_it_costs_quadratic_time() -> None:
    zalgo = "a" + "\u0301\u0327" * MAX_COMBINING_RUN
    with pytest.raises(UnusableTextError, match="combining"):
        clean("some words " * 50 + zalgo)
    with pytest.raises(UnusableTextError, match="combining"):
        clean("\u0f73\u0301" * MAX_COMBINING_RUN)  # a sign that falls apart into two marks
    assert clean("a" + "\u0327\u0301" * 20).text == unicodedata.normalize(
        "NFC", "a" + "\u0327\u0301" * 20
    )


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200))
def test_cleaning_settles_and_its_account_adds_up(text: str) -> None:
    try:
        cleaned = clean(text)
    except UnusableTextError:
        return
    assert clean(cleaned.text).text == cleaned.text
    assert cleaned.num_bytes == utf8_bytes(cleaned.text)
    removed = sum(change.removed_bytes for change in cleaned.changes)
    assert cleaned.num_bytes + removed == len(text.encode())
    assert not any(unicodedata.category(c) == "Cc" and c not in "\n\t" for c in cleaned.text)


def test_document_id_is_the_hash_of_nfc_text_with_single_blanks() -> None:
    expected = hashlib.sha256("Café au lait".encode()).hexdigest()
    assert document_id("Café au lait") == expected
    assert document_id("  Cafe\u0301\n\n au\tlait ") == expected
    assert document_id("café au lait") != expected
