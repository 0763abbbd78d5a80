"""Telephone numbers as people write them: the list that the finder was developed with.

The list that it is measured by is another one, in `lmcore.evaluation.pii.forms`.
"""

import hashlib

import phonenumbers
import pytest

from lmcore.data.text.personal.plans import DEFAULT_REGIONS
from lmcore.data.text.privacy import Masking, mask


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tel +49\u00a030\u00a01234\u202f5678 heute", "Tel <PHONE> heute"),
        ("ruf 0049-30-12345678", "ruf <PHONE>"),
        ("+49(0)30/1234-5678,", "<PHONE>,"),
        ("(+49) 30 1234567", "<PHONE>"),
        ("(+49 30 1234567)", "(<PHONE>)"),
        ("+49 30 12345678 2024", "<PHONE> 2024"),
        ("00 44 1632 960 983", "<PHONE>"),
        ("from Boston 011 33 4 78 12 34 56", "from Boston <PHONE>"),
        ("im Haus 0221 / 92 55 1234 fragen", "im Haus <PHONE> fragen"),
        ("030 12345678 / 0171 2345678", "<PHONE> / <PHONE>"),
        ("(021) 555 1234 or 082 555 1234", "<PHONE> or <PHONE>"),
        ("Le 04 78 12 34 56 répond", "Le <PHONE> répond"),
        ("请拨打13912345678转2", "请拨打<PHONE>转2"),
        ("請電(02)2345-6789或", "請電<PHONE>或"),
        ("電話は06-6345-1234です", "電話は<PHONE>です"),
        ("電話は０６－６３４５－１２３４です", "電話は<PHONE>です"),
        ("010-1234-5678로 연락", "<PHONE>로 연락"),
        ("Позвони +7 (495) 123\u201345\u201367 завтра", "Позвони <PHONE> завтра"),
        ("(+1) 212-555-0199 x3", "<PHONE> x3"),
        ("mobilen är 073-123 45 67.", "mobilen är <PHONE>."),
        ("Tlf. 22 83 12 34", "Tlf. <PHONE>"),
        ("ring 55 12 34 56 i dag", "ring <PHONE> i dag"),
        ("tel.: 12 345 67 89", "tel.: <PHONE>"),
        ("اتصل على +٩٦٦ ٥٠ ١٢٣ ٤٥٦٧ اليوم", "اتصل على <PHONE> اليوم"),
        ('{"phone": "5551234567"}', '{"phone": "<PHONE>"}'),
        ("name;0171 2345678;12", "name;<PHONE>;12"),
    ],
)
def test_numbers_are_found(text: str, expected: str) -> None:
    assert mask(text).text == expected


@pytest.mark.parametrize(
    "text",
    [
        *("costs 1\u00a0234\u00a0567,00 €", "CHF 2'345'678", "10.000.000 Euro", "150 000 000 km"),
        *("601 234 567 zł", "call for EUR 601 234 567", "12 34 56 78", "100 200 300 400"),
        *("06.12.2025 08:30", "2024-05-06 07:08:09", "calling it 9/20/12 10", "call 20261112"),
        *(
            "(05.12.2025 11:21)",
            "order no. 0171 2345678",
            "ticket 0171 2345678",
            "注文番号は090-1234-5678",
        ),
        *(
            "call 9 997 549,34 €",
            "call 601 234 567 zł",
            "call 892 000 - 1 519 000",
            "call 1 2 3 4 5 6 7",
        ),
        *("07/08/2026", "0800 - 1700", "12/2024-01/2025", "the years 1990-1999 and 2000-2010"),
        *("ISBN 0-14-044913-6", "03 12 24 35 41 49", "00123456", "0.123456789", "3,0301234567"),
        *("Order no. 123-4567890", "score 21-19 21-17 21-15", "1600000000", "04-05 893/885"),
        *("deadbeef0301234567", "v0171 2345678x", "GPS 52 31 12 13 24 36", "+100 000"),
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert mask(text).text == text


def test_every_region_is_read_as_the_library_writes_it() -> None:
    kinds = (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE)
    formats = phonenumbers.PhoneNumberFormat
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for number in filter(
            None, (phonenumbers.example_number_for_type(region, k) for k in kinds)
        ):
            for form in (formats.INTERNATIONAL, formats.E164):
                text = phonenumbers.format_number(number, form)
                assert mask(f"He wrote {text} there.").text == "He wrote <PHONE> there."
            text = phonenumbers.format_number(number, formats.NATIONAL)
            # Fewer digits are a number of anything, even behind a label.
            if sum(c.isdigit() for c in text) >= 7:
                assert mask(f"Tel. {text}, he said.").text == "Tel. <PHONE>, he said."
            if region in DEFAULT_REGIONS:
                assert mask(f"Call me on {text} now.").text == "Call me on <PHONE> now."


def test_words_of_hashes_stay() -> None:
    # Figures of one run on into letters of the next: 0251039 0397c3e.
    words = [hashlib.sha1(str(i).encode()).hexdigest()[: 7 + i % 10] for i in range(20_000)]
    text = " ".join(word for word in words if not word.isdigit())
    assert mask(text).text == text


def test_a_named_region_has_numbers_without_any_announcement() -> None:
    text = "Jeg bor på 22 83 12 34, sagde han 601 234 567."
    assert mask(text).text == text
    danish = Masking(regions=("NO",))
    assert danish.mask(text).text == "Jeg bor på <PHONE>, sagde han 601 234 567."
    # And those of other regions are none any more, unless they say where they are.
    assert danish.mask("030 1234567, +49 30 1234567").text == "030 1234567, <PHONE>"
