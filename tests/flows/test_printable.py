"""What is printed steers no terminal, and JSON is the same value all the same."""

import json
import logging

from hypothesis import given
from hypothesis import strategies as st

from flows.printable import CleanFormatter, as_json, clean

TEXT = st.text(st.characters(exclude_categories=()), max_size=30)


def test_a_stranger_cannot_move_the_cursor() -> None:
    assert clean("a\x1b[2Jb\r\x07\x7f\x9b\u202ec\n\td\ud800") == "a[2Jbc\n\td"


@given(text=TEXT)
def test_json_is_printable_and_keeps_its_value(text: str) -> None:
    line = as_json({"key": text, text: [text, 1.5, None]})
    assert line.isprintable()
    assert json.loads(line) == {"key": text, text: [text, 1.5, None]}


@given(text=TEXT)
def test_what_people_read_has_no_control_characters(text: str) -> None:
    assert all(c in "\n\t" or c.isprintable() for c in clean(text))


def test_a_log_is_clean_with_its_traceback() -> None:
    try:
        raise ValueError("\x1b]0;title\x07")
    except ValueError as error:
        record = logging.LogRecord("a", 20, "p", 1, "\x9b1m %s", ("x",), (ValueError, error, None))
    line = CleanFormatter("  %(message)s").format(record)
    assert line.splitlines() == ["  1m x", "ValueError: ]0;title"]
