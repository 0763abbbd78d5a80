"""What is measured, the tests of `flows.monitor_drift` and of the walk through days try."""

from pathlib import Path
from typing import Any

import pytest

from flows.commands.monitor import _text
from lmcore.errors import ConfigError, SourceError


def interval(value: float) -> dict[str, Any]:
    return {"value": value, "lower": value - 0.25, "upper": value + 0.25, "unit": "bits/byte"}


def answer(**changes: Any) -> dict[str, Any]:
    return {
        "model": "letters",
        "champion": 2,
        "outcome": "DRIFTED",
        "reason": "Fresh text costs 1.0 bits per byte more.",
        "as_of": None,
        "documents": {"fresh": 1_007, "known": 80, "near_copies": 3},
        "bits_per_byte": {
            "fresh": interval(2.5),
            "reference": interval(1.5),
            "difference": interval(1.0),
        },
        "tokens_per_byte": None,
        "unseen_words": None,
        "lengths": None,
        "requests": None,
        "feedback": None,
        **changes,
    }


def test_people_see_whether_and_how_the_text_drifts(capsys: pytest.CaptureFixture[str]) -> None:
    lengths = {"fresh_median": 1_250.0, "reference_median": 980.0, "distance": 0.375, "p": 0.0123}
    _text(answer(as_of="2024-12-31", lengths=lengths))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "DRIFTED: letters version 2",
        "  Fresh text costs 1.0 bits per byte more.",
        "  documents up to 2024-12-31: 1,007 fresh, 80 known, 3 near-copies of these",
    ]
    assert lines[4].split() == ["fresh", "reference", "difference"]
    assert " ".join(lines[5].split()) == (
        "bits per byte 2.500 [2.250, 2.750] bits/byte 1.500 [1.250, 1.750] bits/byte"
        " 1.000 [0.7500, 1.250] bits/byte"
    )
    assert lines[-1] == "  median length 1,250 bytes, before 980 (distance 0.38, p 0.012)"


def test_what_was_not_measured_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    _text(answer(outcome="INCONCLUSIVE", bits_per_byte=None))
    assert capsys.readouterr().out.splitlines() == [
        "INCONCLUSIVE: letters version 2",
        "  Fresh text costs 1.0 bits per byte more.",
        "  documents: 1,007 fresh, 80 known, 3 near-copies of these",
    ]


def test_what_is_asked_and_said_in_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    said = {"outcome": "STABLE", "reason": "95.0% of 200 answers were called right."}
    asked = {"outcome": "DRIFTED", "reason": "Fresh text costs 1.0 bits per byte more."}
    # What speaks already is not said twice; a task has no documents.
    _text(answer(requests=asked, feedback=said, documents=None))
    assert capsys.readouterr().out.splitlines() == [
        "DRIFTED: letters version 2",
        "  Fresh text costs 1.0 bits per byte more.",
        "  feedback: STABLE. 95.0% of 200 answers were called right.",
    ]


def test_nothing_is_begun_without_a_configuration_and_its_sources(
    empty_shell: Any, tmp_path: Path
) -> None:
    assert isinstance(empty_shell.refusal("monitor", "--config", "missing.yaml"), ConfigError)
    (tmp_path / "c.yaml").write_text(
        "name: letters\nsources:\n  - {path: letters.txt, license: CC0-1.0}\n"
    )
    refused = empty_shell.refusal("monitor", "--config", "c.yaml", "--set", "sources.0.path=b.txt")
    assert isinstance(refused, SourceError)
    assert "b.txt" in str(refused)
    assert not (empty_shell.home.prefect / "server.log").exists()
