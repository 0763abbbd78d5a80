"""Check digits that the library does not know, by published examples."""

import pytest

from lmcore.data.text.personal.check_digits import OWN


@pytest.mark.parametrize(
    ("rule", "number"),
    [
        ("snils", "112-233-445 95"),
        ("my_number", "123456789018"),
        ("ric", "11010519491231002X"),
        ("ric", "440524188001010014"),
        ("rrn", "970701-1234567"),
        ("ssn", "219-09-9999"),
        ("taiwan", "A123456789"),
        ("hkid", "A123456(3)"),
        ("hkid", "AB987654(3)"),
        ("nric", "S1234567D"),
        ("nric", "F1234567N"),
        ("nric", "T1234567J"),
    ],
)
def test_a_published_number_passes_and_its_neighbour_does_not(rule: str, number: str) -> None:
    assert OWN[rule](number)
    place = next(i for i, c in enumerate(number) if c.isdigit())
    if rule not in ("rrn", "ssn"):
        other = str((int(number[place]) + 1) % 10)
        assert not OWN[rule](number[:place] + other + number[place + 1 :])


def test_dates_and_areas_that_do_not_exist_fail() -> None:
    assert not OWN["rrn"]("971301-1234567")
    assert not OWN["ssn"]("666-12-3456")
    assert not OWN["my_number"]("12345678901")
    assert not OWN["snils"]("000-000-000 00")
