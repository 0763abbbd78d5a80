"""How answers are drawn: numbers with the digits they deserve, and nothing that moves a cursor."""

import ast
from pathlib import Path

import pytest

from flows import commands
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


def test_one_place_prints() -> None:
    for path in Path(commands.__path__[0]).rglob("*.py"):
        calls = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        ]
        names = {ast.unparse(call.func) for call in calls}
        assert path.name == "text.py" or not names & {"click.echo", "click.secho", "print"}, path


def test_pieces_keep_their_colours_and_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    text.line(text.styled("a\x1b[2J", "red"), "\x1b[1mb", end=False)
    text.line("\ud800c", err=True)
    out, err = capsys.readouterr()
    assert out == "a[2J[1mb"  # click takes colours out where no terminal is
    assert err == "c\n"
