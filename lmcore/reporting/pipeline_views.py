"""What a dashboard says of one model: texts, rows and charts, ready for the template.

In: `ModelHistory`.  Out: a `ModelView`.  Everything that comes from a registry may have been
edited by anybody, so numbers are checked, texts have a length, and what does not parse is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from lmcore.reporting.charts import Axis, Tick, axis
from lmcore.reporting.measures import TASKS, headline_name, higher_is_better, label, metric_row
from lmcore.reporting.pipeline_data import (
    EventEntry,
    ModelHistory,
    PipelineData,
    RunEntry,
    VersionEntry,
)
from lmcore.reporting.text import (
    MISSING,
    duration,
    finite,
    number,
    one_line,
    percent,
    size,
    words,
)
from lmcore.reporting.trends import (
    Measured,
    Period,
    StackedChart,
    TrendChart,
    stacked_chart,
    time_axis,
    trend_chart,
    version_axis,
)
from lmcore.reporting.verdicts import Tile

#: Rows that are shown at once; the others are folded away.
SHOWN_EVENTS = 8
SHOWN_VERSIONS = 12
SHOWN_GATE_ROWS = 25
SHOWN_RUNS = 10
_LABEL_PERCENT = 4.5
_REASON_CHARACTERS = 360
_ANCHOR = "anchor_bits_per_byte"

#: Action to what it is called; the order is that of the lanes of the timeline.
ACTIONS = {
    "promote": "Promoted",
    "rollback": "Rolled back",
    "override": "Overridden",
    "reject": "Rejected",
    "forget": "Forgotten text",
}
_ACTION_KINDS = {"promote": "pass", "rollback": "warn", "override": "warn", "reject": "fail"}
OUTCOME_KINDS = {"promoted": "pass", "registered": "idle", "rejected": "fail"}
#: Outcome of a gate to its letter and its class; each has a shape of its own in the style sheet.
LETTERS = {
    "PASS": ("P", "p"),
    "FAIL": ("F", "f"),
    "INCONCLUSIVE": ("I", "i"),
    "WARN": ("W", "w"),
    "SKIPPED": ("S", "s"),
}
_RUN_STATES = {
    "FINISHED": ("finished", "pass"),
    "FAILED": ("failed", "fail"),
    "KILLED": ("stopped", "warn"),
    "RUNNING": ("not ended", "idle"),
}


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


@dataclass(frozen=True, kw_only=True)
class GateCell:
    """What one gate said of one version."""

    letter: str
    kind: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class GateMatrix:
    """Versions by gates, newest version first; a cell is None where nothing is recorded."""

    gates: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[GateCell | None, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class VersionRow:
    """One version as text."""

    number: int
    link: str
    created: str
    outcome: str
    kind: str
    aliases: str
    value: str
    interval: str
    documents: str
    size: str
    took: str
    cores: str
    cost: str
    verdict: str


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run as text, with the addresses of its pages, empty where there is no server."""

    name: str
    state: str
    kind: str
    started: str
    took: str
    outcome: str
    mlflow: str
    prefect: str


@dataclass(frozen=True, kw_only=True)
class Legend:
    """The parts of a stacked chart: place of the colour, name, and the newest version's value."""

    entries: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True, kw_only=True)
class ModelView:
    """One model's part of the page."""

    id: str
    name: str
    task: str
    link: str
    sentence: str
    kind: str
    tiles: tuple[Tile, ...]
    overview: tuple[str, ...]
    timeline: Timeline | None
    events: tuple[EventRow, ...]
    metric: str
    direction: str
    quality: TrendChart | None
    has_anchor: bool
    matrix: GateMatrix | None
    drift: TrendChart | None
    drift_rows: tuple[tuple[str, str, str, str, str], ...]
    text_size: TrendChart | None
    documents: TrendChart | None
    licenses: StackedChart | None
    license_legend: Legend
    seconds: StackedChart | None
    seconds_unit: str
    seconds_legend: Legend
    cost: str
    versions: tuple[VersionRow, ...]
    shows_cost: bool
    runs: tuple[RunRow, ...]


def model_view(history: ModelHistory, page: PipelineData, *, position: int) -> ModelView:
    """Everything that the page says of one model.

    Args:
        history: What is known of it.
        page: For the addresses of servers, the price and the time.
        position: Of the model on the page; makes its identifiers unique.
    """
    versions = history.versions
    steps = version_axis(v.number for v in versions) if versions else Axis(low=0.5, high=1.5)
    metric = headline_name(history.task)
    quality = _quality(versions, metric, steps)
    seconds, unit, seconds_legend = _seconds(versions, steps)
    licenses, license_legend = _licenses(versions, steps)
    rows = tuple(_version_row(v, history, page, metric) for v in reversed(versions))
    return ModelView(
        id=f"m{position}",
        name=one_line(history.model, 120),
        task=one_line(TASKS.get(history.task, words(history.task)), 60),
        link=_mlflow(page, "models", history.model),
        sentence=_sentence(history),
        kind="pass" if history.champion else "idle",
        tiles=_tiles(history, metric, page),
        overview=_overview(history, metric),
        timeline=_timeline(history, page),
        events=tuple(_event_row(event) for event in reversed(history.events)),
        metric=_metric_name(metric, versions),
        direction="higher is better" if higher_is_better(metric) else "lower is better",
        quality=quality,
        has_anchor=bool(quality and quality.second),
        matrix=_matrix(versions),
        drift=_drift(history),
        drift_rows=_drift_rows(history),
        text_size=_growth(versions, "bytes", steps),
        documents=_growth(versions, "documents", steps),
        licenses=licenses,
        license_legend=license_legend,
        seconds=seconds,
        seconds_unit=unit,
        seconds_legend=seconds_legend,
        cost=_cost_sentence(versions, page),
        versions=rows,
        shows_cost=page.price_per_hour is not None,
        runs=tuple(_run_row(run, page) for run in history.runs),
    )


# -- opening -----------------------------------------------------------------------------------


def _sentence(history: ModelHistory) -> str:
    champion = history.champion
    if champion is None:
        if not history.versions:
            return "No version is registered yet."
        return "No version is in use: none has passed its gates and been promoted."
    moves = [e for e in history.events if e.moves_champion and e.to_version == champion.number]
    if not moves:
        return f"Version {champion.number} is in use."
    last = moves[-1]
    how = {"promote": "promoted", "rollback": "rolled back to", "override": "promoted by override"}
    return (
        f"Version {champion.number} is in use since {moment(last.at)},"
        f" {how[last.action]} by {one_line(last.who, 60)}."
    )


def _tiles(history: ModelHistory, metric: str, page: PipelineData) -> tuple[Tile, ...]:
    champion = history.champion
    tiles = [
        Tile(
            label="Champion",
            value=f"version {champion.number}" if champion else "none",
            note=f"trained {moment(champion.created)}" if champion else "",
        )
    ]
    if champion and (known := champion.metrics.get(metric)) and isinstance(known, Mapping):
        row = metric_row(metric, known)
        bounds = f" · {row.interval}" if row.interval else ""
        tiles.append(Tile(label=row.label, value=row.value, note=f"{row.unit}{bounds}"))
    outcomes = [v.outcome for v in history.versions]
    tiles.append(
        Tile(
            label="Versions",
            value=f"{len(outcomes):,}",
            note=f"{outcomes.count('promoted'):,} promoted,"
            f" {outcomes.count('rejected'):,} rejected",
        )
    )
    last = history.last_run or {}
    tiles.append(
        Tile(
            label="Last run",
            value=one_line(last.get("outcome") or MISSING, 40),
            note=moment(last.get("at")) if last.get("at") else "",
        )
    )
    tiles.append(
        Tile(
            label="Schedule",
            value=one_line(history.schedule, 60) if history.schedule else "none",
            note="" if history.schedule else "runs when somebody starts it",
        )
    )
    totals = [t for v in history.versions if (t := finite(v.seconds.get("total"))) is not None]
    if totals:
        price = page.price_per_hour
        cost = f" · cost {_money(totals[-1], price)}" if price is not None else ""
        tiles.append(
            Tile(
                label="Newest version took",
                value=duration(totals[-1]),
                note=f"median {duration(sorted(totals)[len(totals) // 2])}{cost}",
            )
        )
    return tuple(tiles)


def _overview(history: ModelHistory, metric: str) -> tuple[str, ...]:
    """Champion, its headline metric, versions, last run and schedule, for the table of models."""
    champion = history.champion
    known = champion.metrics.get(metric) if champion else None
    row = metric_row(metric, known) if isinstance(known, Mapping) else None
    last = history.last_run or {}
    ran = f"{one_line(last['outcome'], 40)}, {moment(last.get('at'))}" if "outcome" in last else ""
    return (
        f"version {champion.number}" if champion else "none",
        f"{row.value} {row.unit}" if row else MISSING,
        f"{len(history.versions):,}",
        ran or MISSING,
        one_line(history.schedule, 60) if history.schedule else "none",
    )


def moment(value: datetime | str | object) -> str:
    """A time as `2026-03-04 14:05`, or as it was given."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return one_line(value, 40)
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else MISSING


# -- decisions ---------------------------------------------------------------------------------


def _timeline(history: ModelHistory, page: PipelineData) -> Timeline | None:
    events = history.events
    if not events:
        return None
    scale = time_axis([*(e.at for e in events), page.created])
    moves = [e for e in events if e.moves_champion]
    ends = [*(e.at for e in moves[1:]), page.created]
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


def _event_row(event: EventEntry) -> EventRow:
    return EventRow(
        at=moment(event.at),
        action=ACTIONS.get(event.action, one_line(event.action, 40)),
        kind=_ACTION_KINDS.get(event.action, "idle"),
        what=_what(event),
        who=one_line(event.who, 80),
        reason=one_line(event.reason, _REASON_CHARACTERS),
    )


# -- quality -----------------------------------------------------------------------------------


def _metric_name(metric: str, versions: Sequence[VersionEntry]) -> str:
    for version in reversed(versions):
        known = version.metrics.get(metric)
        if isinstance(known, Mapping) and known.get("unit"):
            unit = one_line(known["unit"], 40).replace("bits/byte", "bits per byte")
            return f"{label(metric)}, {unit}"
    return label(metric)


def _quality(versions: Sequence[VersionEntry], metric: str, steps: Axis) -> TrendChart | None:
    points = []
    for version in versions:
        known = version.metrics.get(metric)
        if not isinstance(known, Mapping) or (value := finite(known.get("value"))) is None:
            continue
        row = metric_row(metric, known)
        bounds = f" ({row.interval})" if row.interval else ""
        points.append(
            Measured(
                number=version.number,
                value=value,
                lower=finite(known.get("lower")),
                upper=finite(known.get("upper")),
                kind=_mark_kind(version),
                summary=f"version {version.number}, {one_line(version.outcome, 40)}"
                f" {moment(version.created)}: {row.value} {row.unit}{bounds}",
            )
        )
    second = [
        (version.number, value)
        for version in versions
        if metric != _ANCHOR
        and isinstance(known := version.metrics.get(_ANCHOR), Mapping)
        and (value := finite(known.get("value"))) is not None
    ]
    return trend_chart(points, second=second, steps=steps)


def _mark_kind(version: VersionEntry) -> str:
    return version.outcome if version.outcome in ("promoted", "rejected") else "kept"


def _matrix(versions: Sequence[VersionEntry]) -> GateMatrix | None:
    names: dict[str, None] = {}
    found: list[tuple[VersionEntry, dict[str, Mapping[str, Any]]]] = []
    for version in reversed(versions):
        gates = {
            one_line(gate.get("gate") or "gate", 60): gate
            for gate in version.gates
            if isinstance(gate, Mapping)
        }
        names.update(dict.fromkeys(gates))
        found.append((version, gates))
    if not names:
        return None
    rows = []
    for index, (version, gates) in enumerate(found):
        cells = tuple(_gate_cell(name, gates.get(name), index) for name in names)
        rows.append((f"v{version.number}", OUTCOME_KINDS.get(version.outcome, "idle"), cells))
    return GateMatrix(gates=tuple(words(name) for name in names), rows=tuple(rows))


def _gate_cell(name: str, gate: Mapping[str, Any] | None, age: int) -> GateCell | None:
    if gate is None:
        return None
    outcome = one_line(gate.get("outcome") or "", 40)
    letter, kind = LETTERS.get(outcome, ("?", "s"))
    needed = "" if gate.get("required", True) else " (advice)"
    # Of old versions that passed, the outcome is enough: a page of 500 stays a small file.
    told = age < SHOWN_GATE_ROWS or letter != "P"
    reason = one_line(gate.get("reason") or "", 240) if told else ""
    text = f"{words(name)}{needed}: {outcome}"
    return GateCell(letter=letter, kind=kind, sentence=f"{text}. {reason}" if reason else text)


def _drift(history: ModelHistory) -> TrendChart | None:
    known = [(i, d, v) for i, d in enumerate(history.drift, 1) if (v := finite(d.value))]
    points = [
        Measured(
            number=index,
            value=value,
            lower=finite(look.lower),
            upper=finite(look.upper),
            kind={"PASS": "promoted", "FAIL": "rejected"}.get(look.outcome, "kept"),
            summary=f"{moment(look.at)}: {one_line(look.sentence or look.outcome, 240)}",
        )
        for index, look, value in known
    ]
    return trend_chart(points)


def _drift_rows(history: ModelHistory) -> tuple[tuple[str, str, str, str, str], ...]:
    return tuple(
        (
            moment(look.at),
            one_line(look.outcome or MISSING, 40),
            f"version {look.version}" if look.version is not None else MISSING,
            f"{number(look.value)} {one_line(look.unit, 40)}".strip(),
            one_line(look.sentence, _REASON_CHARACTERS),
        )
        for look in reversed(history.drift)
    )


# -- data, time and cost -----------------------------------------------------------------------


def _growth(versions: Sequence[VersionEntry], what: str, steps: Axis) -> TrendChart | None:
    shown = size if what == "bytes" else _count
    scale = 1e6 if what == "bytes" else 1.0
    points = [
        Measured(
            number=version.number,
            value=value / scale,
            lower=None,
            upper=None,
            kind="kept",
            summary=f"version {version.number}: {shown(value)}",
        )
        for version in versions
        if (value := finite(version.data.get(what))) is not None and value >= 0
    ]
    return trend_chart(points, steps=steps, unit="" if what == "bytes" else "count", floor=0.0)


def _count(value: float) -> str:
    return f"{number(value, unit='count')} documents"


def _licenses(versions: Sequence[VersionEntry], steps: Axis) -> tuple[StackedChart | None, Legend]:
    rows: list[tuple[int, Mapping[str, float]]] = []
    for version in versions:
        parts = _parts(version.data.get("licenses"))
        total = sum(parts.values())
        if total > 0:
            rows.append((version.number, {name: v / total for name, v in parts.items()}))
    ticks = tuple(Tick(at=float(p), label=f"{p} %") for p in (0, 25, 50, 75, 100))
    chart = stacked_chart(
        rows,
        scale=Axis(low=0.0, high=1.0),
        ticks=ticks,
        steps=steps,
        summary="licences of {label}, by their share of the text",
    )
    return chart, _legend(chart, rows, percent)


def _seconds(
    versions: Sequence[VersionEntry], steps: Axis
) -> tuple[StackedChart | None, str, Legend]:
    rows: list[tuple[int, Mapping[str, float]]] = []
    for version in versions:
        parts = {words(k): v for k, v in _parts(version.seconds).items() if k != "total"}
        if parts:
            rows.append((version.number, parts))
    if not rows:
        return None, "", Legend(entries=())
    sums = sorted(sum(parts.values()) for _, parts in rows)
    # One run that waited for hours must not hide what all others took.
    top = min(sums[-1], 4 * sums[len(sums) * 9 // 10]) or 1.0
    unit, scale = next(
        (unit, scale)
        for unit, scale in (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
        if top >= 2 * scale or scale == 1.0
    )
    y = Axis(low=0.0, high=axis([0.0, top / scale]).high)
    chart = stacked_chart(
        [(n, {name: v / scale for name, v in parts.items()}) for n, parts in rows],
        scale=y,
        ticks=y.ticks(4),
        steps=steps,
        summary="wall-clock time of {label}, by step",
    )
    return chart, unit, _legend(chart, rows, duration)


def _parts(value: object) -> dict[str, float]:
    if not isinstance(value, Mapping):
        return {}
    return {
        one_line(name, 60): known
        for name, raw in list(value.items())[:200]
        if (known := finite(raw)) is not None and known >= 0
    }


def _legend(
    chart: StackedChart | None,
    rows: Sequence[tuple[int, Mapping[str, float]]],
    shown: Callable[[float], str],
) -> Legend:
    if chart is None:
        return Legend(entries=())
    newest = rows[-1][1]
    rest = sum(value for name, value in newest.items() if name not in chart.names)
    entries = [
        (index, name, shown(newest.get(name, rest if index == len(chart.names) - 1 else 0.0)))
        for index, name in enumerate(chart.names)
    ]
    return Legend(entries=tuple(entries))


def _money(seconds: float, price: float | None) -> str:
    return MISSING if price is None else f"{seconds / 3600 * price:,.2f}"


def _cost_sentence(versions: Sequence[VersionEntry], page: PipelineData) -> str:
    totals = [t for v in versions if (t := finite(v.seconds.get("total"))) is not None]
    if not totals:
        return ""
    cores = [c for v in versions if (c := finite(v.core_seconds)) is not None]
    text = f"{len(totals):,} runs took {duration(sum(totals))} together"
    if cores:
        text += f"; processors worked {duration(sum(cores))} in {len(cores):,} of them"
    if page.price_per_hour is not None:
        text += (
            f". At {page.price_per_hour:,.2f} an hour they cost"
            f" {_money(sum(totals), page.price_per_hour)}"
        )
    return f"{text}."


# -- rows --------------------------------------------------------------------------------------


def _version_row(
    version: VersionEntry, history: ModelHistory, page: PipelineData, metric: str
) -> VersionRow:
    known = version.metrics.get(metric)
    row = metric_row(metric, known) if isinstance(known, Mapping) else None
    documents, num_bytes = (finite(version.data.get(key)) for key in ("documents", "bytes"))
    total = finite(version.seconds.get("total"))
    aliases = [one_line(alias, 40) for alias in version.aliases]
    if version.quarantined is not None:
        aliases.append("quarantined")
    verdict = version.verdict
    if version.quarantined:
        verdict = f"Quarantined: {version.quarantined}. {verdict}"
    return VersionRow(
        number=version.number,
        link=_mlflow(page, "models", history.model, "versions", str(version.number)),
        created=moment(version.created),
        outcome=one_line(version.outcome, 40),
        kind=OUTCOME_KINDS.get(version.outcome, "idle"),
        aliases=", ".join(aliases),
        value=row.value if row else "",
        interval=row.interval if row else "",
        documents=_count(documents) if documents is not None else "",
        size=size(num_bytes) if num_bytes is not None else "",
        took=duration(total) if total is not None else "",
        cores=duration(version.core_seconds) if finite(version.core_seconds) is not None else "",
        cost=_money(total, page.price_per_hour) if total is not None else "",
        verdict=one_line(verdict, _REASON_CHARACTERS),
    )


def _run_row(run: RunEntry, page: PipelineData) -> RunRow:
    state, kind = _RUN_STATES.get(run.state, (one_line(run.state, 40).lower(), "idle"))
    outcome = one_line(run.outcome, 40)
    version = f"version {one_line(run.version, 20)}" if run.version else ""
    took = (run.ended - run.started).total_seconds() if run.ended else None
    return RunRow(
        name=one_line(run.name, 80),
        state=state,
        kind=kind,
        started=moment(run.started),
        took=duration(took) if took is not None else "",
        outcome=", ".join(part for part in (outcome, version) if part),
        mlflow=_mlflow(page, "experiments", run.experiment_id, "runs", run.run_id),
        prefect=_prefect(page, run.flow_run_id),
    )


def _mlflow(page: PipelineData, *parts: str) -> str:
    return f"{page.mlflow_url}/#/{_path(parts)}" if page.mlflow_url else ""


def _prefect(page: PipelineData, flow_run_id: str | None) -> str:
    if not page.prefect_url or not flow_run_id:
        return ""
    return f"{page.prefect_url}/{_path(('runs', 'flow-run', flow_run_id))}"


def _path(parts: Iterable[str]) -> str:
    # Half of a surrogate pair, which JSON can hold, has no percent encoding.
    return "/".join(quote(part.encode("utf-8", "replace"), safe="") for part in parts)
