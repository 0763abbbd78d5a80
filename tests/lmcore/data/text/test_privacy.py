"""Masking: published sample numbers are found, ordinary numbers are not touched."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.text.privacy import luhn_valid, mask


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


_HOSTILE = st.one_of(
    st.text(alphabet="0123456789 .,$-+()/", max_size=80),
    st.text(alphabet="01 +(-/.:", max_size=80),
    st.text(alphabet="DEde89 0123.-", max_size=80),
    st.text(alphabet="fe80: 12.%", max_size=80),
    st.text(alphabet="中国a@.1-é", max_size=80),
    st.text(alphabet="123-45 <PHONE>SNtel:", max_size=80),
    st.text(alphabet="1\u00a0\u2011\u202f０２٣ -+", max_size=80),
    st.lists(
        st.sampled_from(
            [
                *(
                    "030 1234567",
                    "Tel.",
                    "call",
                    "a@b.de",
                    "1.2.3.4",
                    "212-555-0100",
                    "078-05-1120",
                ),
                *("DE89370400440532013000", "12", "2024", "4111 1111 1111 1111", "SSN", "id", "("),
                *("fe80::1:2:3", "0", "65 43 21", "<PHONE>", "390.533.447-05", "-", "/", "+"),
            ]
        ),
        max_size=9,
    ).map(" ".join),
)


@settings(deadline=None, max_examples=500)
@given(_HOSTILE)
def test_only_whole_matches_change_and_masking_settles(text: str) -> None:
    masked = mask(text)
    assert (masked.text == text) == (masked.counts == {})
    for kind, count in masked.counts.items():
        assert masked.text.count(f"<{kind}>") - text.count(f"<{kind}>") == count
    assert len(masked.spans) == sum(masked.counts.values())
    again = mask(masked.text)
    assert again.text == masked.text
    assert again.counts == {}


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10**14 - 1), st.text(alphabet=" abc,;:!?\n", max_size=10))
def test_every_card_number_with_a_right_check_digit_is_found(body: int, around: str) -> None:
    digits = f"4{body:014d}"
    card = next(digits + str(d) for d in range(10) if luhn_valid(digits + str(d)))
    wrong = card[:-1] + str((int(card[-1]) + 1) % 10)
    assert mask(f"{around} {card} {around}").counts == {"CARD": 1}
    assert "CARD" not in mask(f"{around} {wrong} {around}").counts


@pytest.mark.parametrize(
    "unit",
    [
        *("1 ", "@", "a@", "a.a@a.", "+1 (22", "A", "AB12", "1.1.", "4", " ", "tel 1 1 1 "),
        *("0", "(", "+", "00 ", "030 12 ", "030 1234567 ", "(0)", "- ", "123-45-6789-", "1.2.3.4."),
        *("::", "a:", "fe80::", "中@", "@中.", "de 89 ", "DE89", "x1", "call 1234567 ", "é@", "٠"),
        *("8 ", "1 23 45 67 ", "\u00a0", "１", "ssn 123456789 ", "12345678901 ", "01/02/2003 "),
    ],
)
def test_hostile_repetition_stays_linear(unit: str) -> None:
    # A quadratic pattern would take many minutes here, which the suite's time limit would show.
    mask(unit * (100_000 // len(unit)))


def test_what_was_masked_is_told_as_it_stood_there() -> None:
    found = mask("Tel: 030 1234567, ann@example.org, GB82 WEST 1234 5698 7654 32").spans
    assert {(span.kind, span.text) for span in found} == {
        ("PHONE", "030 1234567"),
        ("EMAIL", "ann@example.org"),
        ("IBAN", "GB82 WEST 1234 5698 7654 32"),
    }
