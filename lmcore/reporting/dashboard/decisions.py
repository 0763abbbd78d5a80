"""Decisions as a reader meets them: a time axis with its champions, and rows of text.

In: events of a history.  Out: positions in percent, and what was done, by whom and why.
"""

from __future__ import annotations

from dataclasses import dataclass

from lmcore.reporting.charts import Tick
from lmcore.reporting.dashboard.facts import EventEntry, ModelHistory, PipelineData
from lmcore.reporting.dashboard.moments import moment, time_axis
from lmcore.reporting.text import one_line

_LABEL_PERCENT = 4.5
REASON_CHARACTERS = 360

#: Action to what it is called; the order is that of the lanes of the timeline.
ACTIONS = {
    "promote": "Promoted",
    "rollback": "Rolled back",
    "override": "Overridden",
    "reject": "Rejected",
    "forget": "Forgotten text",
}
_ACTION_KINDS = {"promote": "pass", "rollback": "warn", "override": "warn", "reject": "fail"}


@dataclass(frozen=True, kw_only=True)
class Period:
    """One version's time as champion, in percent; the label is empty where it has no room."""

    left: float
    width: float
    label: str
    last: bool
    summary: str


@dataclass(frozen=True, kw_only=True)
class Lane:
    """Decisions of one kind along the time axis: positions in percent, and each in words."""

    name: str
    kind: str
    marks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Who was champion from when to when, and every decision."""

    ticks: tuple[Tick, ...]
    periods: tuple[Period, ...]
    lanes: tuple[Lane, ...]
    description: str


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """One decision as text."""

    at: str
    action: str
    kind: str
    what: str
    who: str
    reason: str


def timeline(history: ModelHistory, page: PipelineData) -> Timeline | None:
    """Champions and decisions along the time until now; None where nothing happened."""
    events = history.events
    if not events:
        return None
    scale = time_axis([*(e.at for e in events), page.created])
    moves = [e for e in events if e.moves_champion]
    ends = [*(e.at for e in moves), page.created][1:]
    periods = []
    for index, (event, end) in enumerate(zip(moves, ends, strict=True)):
        if event.to_version is None:
            continue
        left, right = scale.at(event.at), scale.at(end)
        last = index == len(moves) - 1
        until = "now" if last else moment(end)
        periods.append(
            Period(
                left=left,
                width=round(max(0.0, right - left), 2),
                label=f"v{event.to_version}" if right - left >= _LABEL_PERCENT else "",
                last=last,
                summary=f"version {event.to_version}: champion from {moment(event.at)} to {until}",
            )
        )
    lanes = []
    for action, name in ACTIONS.items():
        found = [e for e in events if e.action == action]
        if found:
            marks = tuple((scale.at(e.at), f"{moment(e.at)}: {_what(e)}") for e in found)
            lanes.append(Lane(name=name, kind=_ACTION_KINDS.get(action, "idle"), marks=marks))
    counts = ", ".join(f"{len(lane.marks):,} {lane.name.lower()}" for lane in lanes)
    return Timeline(
        ticks=scale.ticks(),
        periods=tuple(periods),
        lanes=tuple(lanes),
        description=f"From {moment(scale.start)} to {moment(scale.end)}: {counts}.",
    )


def _what(event: EventEntry) -> str:
    before = f"version {event.from_version}" if event.from_version is not None else "none"
    after = f"version {event.to_version}" if event.to_version is not None else "none"
    if event.action == "reject":
        kept = f"; {before} stays" if event.from_version is not None else ""
        return f"{after} refused{kept}"
    if event.action == "forget":
        return "kept out of every later version"
    if event.from_version is None:
        return f"{after}, the first champion"
    return f"{before} → {after}"


def event_row(event: EventEntry) -> EventRow:
    """One decision as text."""
    return EventRow(
        at=moment(event.at),
        action=ACTIONS.get(event.action, one_line(event.action, 40)),
        kind=_ACTION_KINDS.get(event.action, "idle"),
        what=_what(event),
        who=one_line(event.who, 80),
        reason=one_line(event.reason, REASON_CHARACTERS),
    )
