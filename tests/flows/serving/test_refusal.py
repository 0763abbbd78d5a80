import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.serving.refusal import RefusalError, parse, printable


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\xff", "not UTF-8 (byte 0)"),
        (b"[1]", "a JSON list; expected an object"),
        (b"3", "a JSON number"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": 1, "a": 2}', "a key twice"),
        (b'{"a": "\\ud800"}', "half a surrogate pair"),
        (b"[" * 100_000, "nested too deeply"),
        (b"{", "not JSON"),
    ],
)
def test_a_body_that_is_none_is_named(body: bytes, words: str) -> None:
    with pytest.raises(RefusalError) as refused:
        parse(body)
    assert refused.value.status == 400
    assert words in refused.value.message


def test_an_object_is_read_as_it_is() -> None:
    assert parse('{"a": ["é", 1.5, null, {"b": true}]}'.encode()) == {
        "a": ["é", 1.5, None, {"b": True}]
    }


@given(st.text())
def test_a_quoted_word_harms_no_terminal(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) <= 300
    shown.encode("utf-8")


def test_a_refusal_says_when_to_come_back() -> None:
    busy = RefusalError(429, "too much", code="rate_limit_exceeded", retry_after=3)
    assert busy.headers() == {"Retry-After": "3"}
    assert busy.body()["error"] == {
        "message": "too much",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert RefusalError(401, "who?").headers() == {"WWW-Authenticate": "Bearer"}
