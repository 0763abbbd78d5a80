"""Groups of digits: where numbers part, and what is a date or an amount."""

import pytest

from lmcore.data.text.personal.groups import (
    digits_of,
    ends_of,
    is_date,
    is_like_a_number,
    is_measured,
    is_parted,
    whole_ends,
    without_bracket,
)


def test_ends_and_digits_of_groups() -> None:
    text = "+49 (0)30 1234"
    assert ends_of(text, 1, len(text)) == [(3, "49"), (6, "490"), (9, "49030"), (14, "490301234")]
    skipping = ends_of(text, 1, len(text), skip_zero=True)
    assert [digits for _, digits in skipping] == ["49", "49", "4930", "49301234"]
    assert digits_of(text) == "490301234"
    # A number has at most fifteen digits, so no more are read of a long row.
    assert len(ends_of("12 " * 1000, 0, 3000)) < 12


def test_a_number_parts_from_the_next() -> None:
    text = "030 1234567 / 0171 2345678"
    assert is_parted(text, 11, 18)
    assert not is_parted("1234 5678", 4, 9)
    assert not is_parted("1 519 000", 5, 9)
    assert [stop for stop, _ in whole_ends(text, ends_of(text, 0, len(text)))] == [11]


@pytest.mark.parametrize(
    "text", ["31.12.2026", "2026-12-31", "20261231", "9/20/12", "(05.12.2025 1"]
)
def test_dates(text: str) -> None:
    assert is_date(text, 0)


@pytest.mark.parametrize("text", ["06.12.34.56.78", "0171/2345678", "2026 12 31", "20261331"])
def test_no_dates(text: str) -> None:
    assert not is_date(text, 0)


def test_amounts_and_times() -> None:
    for behind in (" €", "€", " kr", ",50", ":30", ",-", " francs", "krまで"):
        assert is_measured(f"612 345 678{behind}", 11)
    for behind in ("", ".", ", ", " kraft", ": x", "まで"):
        assert not is_measured(f"612 345 678{behind}", 11)


def test_groups_of_a_telephone_number() -> None:
    assert all(map(is_like_a_number, ("030 1234567", "01 23 45 67 89", "0 (212) 555 12 34")))
    assert not any(
        map(
            is_like_a_number,
            ("0-306-40615-2", "03 12 24 35 41 49", "0251039 0397", "04-05 893/885"),
        )
    )


def test_a_bracket_around_a_number_stays_outside() -> None:
    assert without_bracket("(030 1234567)", 0, 12) == 1
    assert without_bracket("(030) 1234567", 0, 13) == 0
