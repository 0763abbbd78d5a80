"""What the flow adds to the drift that is measured; the whole walk is in test_timeline.py."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from flows import monitor_drift
from flows.home.environment import Home
from flows.monitor_drift import drift_markdown
from flows.registry.models import Registry
from flows.registry.monitor_results import monitor_results
from flows.registry.promotion import promote
from flows.registry.versions import Version
from flows.steps.monitoring import InUse
from lmcore.config import RunConfig, parse_config
from lmcore.data.requests.lines import Feedback
from lmcore.data.requests.parts import FEEDBACK, PartWriter
from lmcore.errors import NotFoundError
from lmcore.evaluation.statistics.intervals import Interval
from lmcore.version_folder import VersionFolder


def config(**changes: Any) -> RunConfig:
    values = {"name": "speeches", "sources": [{"path": "texts"}]}
    return parse_config({**values, **changes}, where="test")


def compared(fresh: float, reference: float) -> dict[str, dict[str, float]]:
    values = {"fresh": fresh, "reference": reference, "difference": fresh - reference}
    return {
        side: {"value": value, "lower": value - 0.5, "upper": value + 0.5}
        for side, value in values.items()
    }


def answer(outcome: str) -> dict[str, Any]:
    return {
        "model": "speeches",
        "champion": 2,
        "at": "2026-03-01T10:00:00.000+00:00",
        "as_of": None,
        "outcome": outcome,
        "reason": "Fresh text costs 1.0 bits per byte more.",
        "limit": 0.25,
        "documents": {"fresh": 7},
        "bits_per_byte": compared(2.5, 1.5),
        "tokens_per_byte": compared(0.75, 0.5),
        "unseen_words": None,
    }


def test_the_table_has_a_row_for_what_was_measured() -> None:
    assert drift_markdown(answer("DRIFTED")) == (
        "**DRIFTED** Fresh text costs 1.0 bits per byte more.\n\n"
        "| | fresh | reference | difference |\n"
        "|---|---|---|---|\n"
        "| bits per byte | 2.5000 (2.0000 to 3.0000) | 1.5000 (1.0000 to 2.0000)"
        " | 1.0000 (0.5000 to 1.5000) |\n"
        "| tokens per byte | 0.7500 (0.2500 to 1.2500) | 0.5000 (0.0000 to 1.0000)"
        " | 0.2500 (-0.2500 to 0.7500) |\n"
    )


@pytest.mark.parametrize("outcome", ["DRIFTED", "STABLE", "INCONCLUSIVE"])
def test_an_answer_is_kept_and_shown_and_drift_alone_is_told(
    home: Home, monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    shown: list[str] = []
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(
        monitor_drift,
        "create_markdown_artifact",
        lambda text, *, key, description: shown.append(f"{key} {text}"),
    )
    monkeypatch.setattr(
        "prefect.events.emit_event", lambda *, event, resource, payload: told.append(payload)
    )
    kept = monitor_drift._keep(answer(outcome), home, key="k")
    assert monitor_results(home, "speeches") == [kept]
    assert shown == [f"drift-speeches {drift_markdown(kept)}"]
    assert told == (
        [
            {
                "version": 2,
                "reason": "Fresh text costs 1.0 bits per byte more.",
                "difference": {"value": 1.0, "lower": 0.5, "upper": 1.5},
                "limit": 0.25,
                "fresh_documents": 7,
                "as_of": None,
            }
        ]
        if outcome == "DRIFTED"
        else []
    )


@pytest.fixture
def monitor(home: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[[RunConfig], Any]:
    """The flow in the home of the test, without Prefect."""
    monkeypatch.setattr(monitor_drift, "current", lambda: home)
    return monitor_drift.monitor.fn


def test_a_task_is_held_against_what_people_said(
    monitor: Callable[[RunConfig], Any],
    home: Home,
    registry: Registry,
    register: Callable[..., Version],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monitor_drift, "create_markdown_artifact", lambda *a, **k: None)
    told: list[Any] = []
    monkeypatch.setattr(monitor_drift, "emit_drift", lambda model, payload: told.append(payload))
    version = register()
    promote(
        registry, "speeches", version.number, expected_champion=None, who="ada", reason="better",
        smoke=lambda version: None,
    )  # fmt: skip
    monkeypatch.setattr(
        monitor_drift, "_accuracy", lambda version: Interval(value=0.9, lower=0.88, upper=0.92, n=9)
    )
    source = {"path": "rows.tsv", "target_field": "label", "license": "CC0-1.0"}
    of_task = config(task="sentiment", base=None, sources=[source])
    nothing = monitor(of_task).data
    assert (nothing["outcome"], nothing["feedback"], nothing["documents"]) == (
        "INCONCLUSIVE",
        None,
        None,
    )
    writer = PartWriter(home.requests / "speeches" / FEEDBACK)
    for number in range(60):
        right = number % 2 == 0
        writer.add(
            Feedback(
                id=str(number),
                index=0,
                at="2026-11-28T10:00:00+00:00",
                client="shop",
                version=1,
                task="sentiment",
                text=f"text {number}",
                output="good",
                rating="up" if right else "down",
                accepted="good" if right else None,
            )
        )
    writer.seal()
    found = monitor(of_task).data
    assert found["outcome"] == "DRIFTED"
    assert found["feedback"]["in_use"]["value"] == 0.5
    assert "50.0% of 60 answers were called right" in found["reason"]
    assert len(told) == 1
    kept = monitor_results(home, "speeches")
    assert [one["outcome"] for one in kept] == ["INCONCLUSIVE", "DRIFTED"]


def test_without_a_champion_it_is_said_how_to_have_one(
    monitor: Callable[[RunConfig], Any], register: Callable[..., Version]
) -> None:
    for _ in range(2):
        with pytest.raises(NotFoundError, match="speeches has no champion to monitor; make one"):
            monitor(config())
        register()


def test_the_champion_is_verified_before_it_scores_anything(
    registry: Registry, register: Callable[..., Version], version_folder: VersionFolder
) -> None:
    version = register()
    weights = registry.open(version).path / "model" / "model.safetensors"
    shutil.rmtree(registry.home.root / "kept")  # or they are put back from there
    weights.write_bytes(b"other")
    documents: Any = None
    with pytest.raises(Exception, match=r"model\.safetensors.*nothing was loaded"):
        monitor_drift.measure_drift.task.fn(
            config(), documents, version, registry, InUse(asked=(), feedback=())
        )
