"""`lmcore monitor`: look for drift once, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from lmcore.counted import counted

_COLORS = {"DRIFTED": "red", "STABLE": "green"}


@command(
    "lmcore monitor --config my.yaml",
    "lmcore monitor --config my.yaml --set data.as_of=2024-12-31",
    makes_home=False,
)
@options.config
@options.overrides
def monitor(config_file: Path | None, overrides: tuple[str, ...]) -> Answer:
    """Tell whether fresh text has moved away from what was learnt.

    The champion of the configuration's model is held against documents of its sources that it
    does not know, and against what it was asked where that is kept; a task against what people
    said of its answers: DRIFTED, STABLE or INCONCLUSIVE.
    """
    from flows.commands.shared.configuration import answer_of_flow, configuration
    from flows.commands.shared.nothing_to_monitor import nothing_to_monitor
    from flows.home.environment import current

    known = nothing_to_monitor(configuration(config_file, overrides), current())
    if known is not None:
        return Answer(values=known, text=_text)
    found = answer_of_flow(_look_for_drift, config_file, overrides)
    assert isinstance(found, dict)
    return Answer(values=found, text=_text)


def _look_for_drift() -> Any:
    from flows.monitor_drift import monitor as look_for_drift

    return look_for_drift


def _text(answer: Values) -> None:
    """Whether the text drifts, and how it differs."""
    outcome = answer["outcome"]
    text.title(
        f"{outcome}: {answer['model']} version {answer['champion']}",
        _COLORS.get(outcome, "yellow"),
    )
    text.line(f"  {answer['reason']}")
    if (since := answer.get("unchanged_since")) is not None:
        text.line(f"  nothing is new since {since[:16].replace('T', ' ')} UTC")
    for name, label in (("requests", "asked"), ("feedback", "feedback")):
        if answer[name] is not None and answer[name]["reason"] != answer["reason"]:
            text.line(f"  {label}: {answer[name]['outcome']}. {answer[name]['reason']}")
    if (found := answer["documents"]) is None:
        return
    day = f" up to {answer['as_of']}" if answer["as_of"] else ""
    text.line(
        f"  documents{day}: {found['fresh']:,} fresh, {found['known']:,} known,"
        f" {counted(found['near_copies'], 'near-copy', 'near-copies')} of these"
    )
    sides = ("fresh", "reference", "difference")
    rows = [
        (label, *(text.interval(answer[name][side]) for side in sides))
        for name, label in (
            ("bits_per_byte", "bits per byte"),
            ("tokens_per_byte", "tokens per byte"),
            ("unseen_words", "unseen words"),
        )
        if answer[name] is not None
    ]
    if rows:
        text.line()
        text.table(rows, ("", *sides))
    lengths = answer["lengths"]
    if lengths is not None:
        text.line()
        text.line(
            f"  median length {lengths['fresh_median']:,.0f} bytes, before"
            f" {lengths['reference_median']:,.0f} (distance {lengths['distance']:.2f},"
            f" p {lengths['p']:.2g})"
        )
