"""The walk itself is tried as a whole in `tests/flows/test_timeline.py`."""

from typing import Any

import pytest

from flows.commands.timeline import _text
from lmcore.errors import ConfigError

BITS = {"value": 1.5, "lower": 1.25, "upper": 1.75, "unit": "bits/byte"}
FIRST: dict[str, Any] = {
    "date": "2001-12-31",
    "documents": 160,
    "fresh": None,
    "drift": None,
    "champion_before": None,
    "champion": 1,
    "start": {"origin": "scratch"},
    "bits_per_byte": BITS,
    "outcome": "promoted",
    "reason": "is the first champion",
}


def shown(capsys: pytest.CaptureFixture[str], *rows: dict[str, Any]) -> list[str]:
    _text({"model": "stories", "rows": rows, "seconds": 61.7})
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_one_row_a_day(capsys: pytest.CaptureFixture[str]) -> None:
    drift = {"outcome": "DRIFTED", "difference": {"value": 0.1234}}
    second = {**FIRST, "date": "2002-12-31", "fresh": 40, "drift": drift}
    second |= {"champion_before": 1, "champion": 2, "start": {"origin": "champion"}}
    assert shown(capsys, FIRST, second) == [
        "date documents fresh drift, bits/byte champion start bits per byte outcome",
        "2001-12-31 160 - - - -> 1 scratch 1.500 [1.250, 1.750] promoted",
        "2002-12-31 160 40 DRIFTED +0.123 1 -> 2 champion 1.500 [1.250, 1.750] promoted",
        "",
        "stories: 62 s",
    ]


def test_a_day_without_a_new_model_has_gaps_and_a_refusal_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    nothing = {**FIRST, "documents": None, "start": None, "bits_per_byte": None}
    nothing |= {"drift": {"outcome": "INCONCLUSIVE", "difference": None}, "outcome": "skipped"}
    refused = {**FIRST, "outcome": "rejected", "reason": "champion said FAIL"}
    assert shown(capsys, nothing, refused)[1:] == [
        "2001-12-31 - - INCONCLUSIVE - -> 1 - - skipped",
        "2001-12-31 160 - - - -> 1 scratch 1.500 [1.250, 1.750] rejected",
        "",
        "2001-12-31: champion said FAIL",
        "stories: 62 s",
    ]


def test_nothing_is_begun_without_a_configuration_that_is_right(empty_shell: Any) -> None:
    assert isinstance(empty_shell.refusal("timeline", "--config", "missing.yaml"), ConfigError)
    # Without one it is the installed one for dated text.
    refused = empty_shell.refusal("timeline", "--set", "sources.0.path=letters.txt")
    assert isinstance(refused, ConfigError)
    assert "configs/timeline.yaml: sources.0: expected exactly one of path" in str(refused)
    assert not (empty_shell.home.prefect / "server.log").exists()
