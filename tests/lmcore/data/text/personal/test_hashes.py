"""Spans are remembered as hashes, in one spelling each."""

import json

import pytest

from lmcore.data.text.personal.hashes import SpanHashes, normal_span
from lmcore.data.text.personal.spans import Span


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("PHONE", "(212) 555-0100", "+1 212.555.0100"),
        ("CARD", "4111 1111 1111 1111", "4111-1111-1111-1111"),
        ("IBAN", "DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
        ("EMAIL", "Ann@Example.org", "ann@example.org"),
        ("PHONE", "+49\u00a0(0)30\u00a01234\u20115678", "030/12345678"),
        ("IP", "2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("ID", "390.533.447-05", "39053344705"),
    ],
)
def test_a_number_is_the_same_however_it_is_written(kind: str, one: str, other: str) -> None:
    assert normal_span(Span(kind=kind, text=one)) == normal_span(Span(kind=kind, text=other))
    hashes = SpanHashes(b"salt")
    hashes.add([Span(kind=kind, text=one)])
    assert Span(kind=kind, text=other) in hashes
    assert Span(kind="SSN", text=other) not in hashes


def test_hashes_can_be_stored_and_hold_no_text() -> None:
    hashes = SpanHashes(b"salt")
    spans = [Span(kind="EMAIL", text=f"person{i}@example.org") for i in range(50)]
    hashes.add([*spans, *spans])
    raw = json.dumps(hashes.to_json())
    assert "person" not in raw
    again = SpanHashes.from_json(json.loads(raw))
    assert len(again) == len(hashes) == 50
    assert all(span in again for span in spans)
    assert Span(kind="EMAIL", text="nobody@example.org") not in again
    other = SpanHashes(b"pepper")
    other.add(spans)
    assert other.to_json()["hashes"] != hashes.to_json()["hashes"]


def test_a_full_set_says_that_it_is_not_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SpanHashes, "MAX_ENTRIES", 3)
    hashes = SpanHashes(b"")
    hashes.add(Span(kind="SSN", text=f"123-45-{i:04d}") for i in range(1, 9))
    assert len(hashes) == 3
    assert not hashes.complete
    assert not SpanHashes.from_json(hashes.to_json()).complete
