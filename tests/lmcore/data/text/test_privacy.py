"""Masking: published sample numbers are found, ordinary numbers are not touched."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.text.privacy import Span, SpanHashes, iban_valid, luhn_valid, mask, normal_span


@pytest.mark.parametrize(
    ("text", "expected", "counts"),
    [
        ("write to ann.lee+x@mail.example.org.", "write to <EMAIL>.", {"EMAIL": 1}),
        ("'bob@x.co.uk' or (o'neil@a.ie)", "'<EMAIL>' or (<EMAIL>)", {"EMAIL": 2}),
        # Test numbers that the card networks publish.
        ("pay 4111 1111 1111 1111 now", "pay <CARD> now", {"CARD": 1}),
        ("378282246310005, 5555-5555-5555-4444", "<CARD>, <CARD>", {"CARD": 2}),
        ("3782 822463 10005 and 30569309025904", "<CARD> and <CARD>", {"CARD": 2}),
        # Examples of the IBAN registry.
        ("GB82 WEST 1234 5698 7654 32 THANKS", "<IBAN> THANKS", {"IBAN": 1}),
        ("DE89370400440532013000 BE68 5390 0754 7034 OK", "<IBAN> <IBAN> OK", {"IBAN": 2}),
        ("SSN 123-45-6789.", "SSN <SSN>.", {"SSN": 1}),
        ("from 192.168.0.1:8080", "from <IP>:8080", {"IP": 1}),
        ("call 212-555-0100, (212) 555-0100", "call <PHONE>, <PHONE>", {"PHONE": 2}),
        ("1-800-555-0100 +1 212 555 0100", "<PHONE> <PHONE>", {"PHONE": 2}),
        ("+44 20 7946 0958 or +14155550123", "<PHONE> or <PHONE>", {"PHONE": 2}),
        ("Tel: 030 1234567", "Tel: <PHONE>", {"PHONE": 1}),
        ("(Tel.: 030 123 4567)", "(Tel.: <PHONE>)", {"PHONE": 1}),
        ("(+49 30 1234 5678), (212-555-0100)", "(<PHONE>), (<PHONE>)", {"PHONE": 2}),
        ("+49 (30) 1234 5678", "<PHONE>", {"PHONE": 1}),
    ],
)
def test_personal_data_is_masked_and_counted(
    text: str, expected: str, counts: dict[str, int]
) -> None:
    masked = mask(text)
    assert masked.text == expected
    assert masked.counts == counts


@pytest.mark.parametrize(
    "text",
    [
        "1,234,567 people and $3.39 in 1914-1918",
        "In 2001 2002 2003, 100 000 000 francs, 12.345.678,90 euro",
        "4111 1111 1111 1112 fails the Luhn check",
        "DE89370400440532013001 fails modulo 97",
        "000-12-3456, 666-12-3456 and 900-12-3456 were never issued",
        "version 1.2.3, 256.1.1.1 and section 1.2.3.4.5",
        "2026-01-02T03:04:05, 3-4-1999, 12:30",
        "ISBN 978-3-16-148410-0, 9783161484100",
        "@user hello @ 5pm, a@b",
        "pi is 3.14159265358979, e is 2.71828182845904",
        "the telephone was shown in 1876-1877, +5 degrees, +100 000",
        "scores 3-2-1, ratio 10:1, part no. 555-1234",
    ],
)
def test_ordinary_numbers_are_left_alone(text: str) -> None:
    masked = mask(text)
    assert masked.text == text
    assert masked.counts == {}


def test_checksums() -> None:
    assert luhn_valid("79927398713")  # the example of the standard
    assert not luhn_valid("79927398710")
    assert iban_valid("GB82WEST12345698765432")
    assert not iban_valid("GB82WEST12345698765423")
    assert not iban_valid("GB82WEST1234569876543")


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="0123456789 .,$-+()", max_size=80))
def test_only_whole_matches_change_and_masking_settles(text: str) -> None:
    masked = mask(text)
    assert (masked.text == text) == (masked.counts == {})
    # Masking twice masks no more of what has no digits left beside it.
    assert sum(masked.counts.values()) == sum(masked.text.count(f"<{k}>") for k in masked.counts)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10**14 - 1), st.text(alphabet=" abc,;:!?\n", max_size=10))
def test_every_card_number_with_a_right_check_digit_is_found(body: int, around: str) -> None:
    digits = f"4{body:014d}"
    card = next(digits + str(d) for d in range(10) if luhn_valid(digits + str(d)))
    wrong = card[:-1] + str((int(card[-1]) + 1) % 10)
    assert mask(f"{around} {card} {around}").counts == {"CARD": 1}
    assert "CARD" not in mask(f"{around} {wrong} {around}").counts


@pytest.mark.parametrize(
    "unit", ["1 ", "@", "a@", "a.a@a.", "+1 (22", "A", "AB12", "1.1.", "4", " ", "tel 1 1 1 "]
)
def test_hostile_repetition_stays_linear(unit: str) -> None:
    # A quadratic pattern would take hours here, which the suite's time limit would show.
    mask(unit * (400_000 // len(unit)))


def test_what_was_masked_is_told_as_it_stood_there() -> None:
    found = mask("Tel: 030 1234567, ann@example.org, GB82 WEST 1234 5698 7654 32").spans
    assert {(span.kind, span.text) for span in found} == {
        ("PHONE", "030 1234567"),
        ("EMAIL", "ann@example.org"),
        ("IBAN", "GB82 WEST 1234 5698 7654 32"),
    }


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("PHONE", "(212) 555-0100", "+1 212.555.0100"),
        ("CARD", "4111 1111 1111 1111", "4111-1111-1111-1111"),
        ("IBAN", "DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
        ("EMAIL", "Ann@Example.org", "ann@example.org"),
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
