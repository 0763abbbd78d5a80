"""How answers are drawn: numbers with the digits they deserve, and nothing that moves a cursor."""

import pytest

from flows.commands.shared import text


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (None, "", "-"),
        (0.0, "", "0.000"),
        (1.23456, "bits/byte", "1.235"),
        (12.3456, "", "12.35"),
        (0.0001234, "", "0.0001"),
        (123456.7, "parameters", "123,457"),
        (12.7, "tokens/s", "13"),
        (-1234.5, "", "-1,234"),
    ],
)
def test_numbers(value: float | None, unit: str, expected: str) -> None:
    assert text.number(value, unit) == expected


def test_an_interval_names_its_unit_and_a_lone_value_has_no_bounds() -> None:
    metric = {"value": 1.5, "lower": 1.25, "upper": 1.75, "unit": "bits/byte"}
    assert text.interval(metric) == "1.500 [1.250, 1.750] bits/byte"
    assert text.interval({**metric, "lower": None}) == "1.500 bits/byte"
    assert text.interval(None) == "-"


@pytest.mark.parametrize(
    ("num_bytes", "expected"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 kB"), (3_000_000_000_000, "3,000.0 GB")],
)
def test_sizes(num_bytes: int, expected: str) -> None:
    assert text.size(num_bytes) == expected


def test_a_stranger_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "a\x1b[2Jb\r\x07\x7f\u202ec\n\td"
    assert text.clean(hostile) == "a[2Jbc\n\td"
    text.table([(hostile, 1), ("long " * 30, None)], ("name", "n"))
    text.title(hostile)
    text.sentence({"sentence": hostile})
    text.gates([{"gate": hostile, "outcome": "FAIL", "required": True, "reason": hostile}])
    shown = capsys.readouterr().out
    assert not {"\x1b", "\r", "\x07", "\x7f", "\u202e"} & set(shown)
    header, first, second = shown.splitlines()[:3]
    assert header.split() == ["name", "n"]
    assert first.index("1") == header.index("n", 4)
    assert second[:72].endswith("…")
