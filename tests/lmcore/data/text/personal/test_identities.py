"""Identity numbers that authorities and encyclopaedias publish as examples."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.text.privacy import mask


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SSN 078051120?", "SSN <SSN>?"),
        ("SSN: 219 09 9999", "SSN: <SSN>"),
        ("it is 219-09-9999.", "it is <SSN>."),
        ("NI no AB123456C", "NI no <ID>"),
        ("Steuer-ID 86095742719", "Steuer-ID <ID>"),
        ("86 095 742 719", "<ID>"),
        ("NIR 2 69 05 49 588 157 80", "NIR <ID>"),
        ("DNI 54362315-K", "DNI <ID>"),
        ("NIE X-2482300-W", "NIE <ID>"),
        ("CF RCCMNL83S18D969H", "CF <ID>"),
        ("PESEL 44051401359", "PESEL <ID>"),
        ("BSN 111222333", "BSN <ID>"),
        ("CPF 390.533.447-05", "CPF <ID>"),
        ("身份证11010519491231002X号", "身份证<ID>号"),
        ("pnr 811228-9874", "pnr <ID>"),
        ("HETU 131052-308T", "HETU <ID>"),
        ("Aadhaar 2341 2341 2346", "Aadhaar <ID>"),
        ("주민번호 970701-1234567입니다", "주민번호 <ID>입니다"),
        ("NRIC S1234567D", "NRIC <ID>"),
        ("HKID A123456(3)", "HKID <ID>"),
        ("台灣A123456789", "台灣<ID>"),
        ("СНИЛС 112-233-445 95", "СНИЛС <ID>"),
        ("AHV 756.9217.0769.85", "AHV <ID>"),
        ("マイナンバーは123456789018です", "マイナンバーは<ID>です"),
        ("Kimlik No: 10000000146", "Kimlik No: <ID>"),
        ("SIN 123 456 782", "SIN <ID>"),
    ],
)
def test_published_examples_are_found(text: str, expected: str) -> None:
    assert mask(text).text == expected


@pytest.mark.parametrize(
    "text",
    [
        # Nine or ten bare digits have a right check digit by chance too often.
        *("111222333", "number 123 456 782", "44051401359"),
        # Wrong check digits.
        *("390.533.447-06", "54362315-J", "11010519491231002Y", "811228-9875", "756.9217.0769.86"),
        *("000-12-3456, 666-12-3456 and 900-12-3456", "part 219-09-9999-1", "HRB 123456 B"),
        *(
            "20241128-0001",
            "No. 385307/2025",
            "4711-0815-2083",
            "978-0-14-044913-6",
            "order 123-4567890-1234567",
        ),
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert mask(text).text == text


@settings(deadline=None, max_examples=500)
@given(
    st.from_regex(r"\A[0-9]{6}[-/+ ]?[0-9]{3,12}[0-9A-Z]?\Z"),
    st.sampled_from(["", "id ", "PESEL ", "ИНН ", "CPR ", "NIK ", "身份证"]),
)
def test_no_number_breaks_a_check(number: str, label: str) -> None:
    masked = mask(label + number)
    assert (masked.text == label + number) == (not masked.spans)
    assert all(span.text in number for span in masked.spans)


def test_a_region_that_the_library_does_not_know_is_no_error() -> None:
    # Its tables lack some, on which it fails.
    for region in range(100_000, 1_000_000, 997):
        assert mask(f"{region}19491231002X").text in (f"{region}19491231002X", "<ID>")
