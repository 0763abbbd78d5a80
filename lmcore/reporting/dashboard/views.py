"""What a dashboard says of one model: texts, rows and charts, ready for the template.

In: `ModelHistory`.  Out: a `ModelView`.  Everything that comes from a registry may have been
edited by anybody, so numbers are checked, texts have a length, and what does not parse is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from lmcore.reporting.charts import Axis
from lmcore.reporting.dashboard.charts import StackedChart, TrendChart, version_axis
from lmcore.reporting.dashboard.decisions import (
    REASON_CHARACTERS,
    EventRow,
    Timeline,
    event_row,
    moment,
    timeline,
)
from lmcore.reporting.dashboard.facts import ModelHistory, PipelineData, RunEntry, VersionEntry
from lmcore.reporting.dashboard.sections import (
    OUTCOME_KINDS,
    GateMatrix,
    Legend,
    count,
    drift_chart,
    drift_rows,
    gate_matrix,
    growth_chart,
    license_chart,
    metric_name,
    quality_chart,
    seconds_chart,
)
from lmcore.reporting.text import MISSING, duration, finite, one_line, size, words
from lmcore.reporting.version.measures import TASKS, headline_name, higher_is_better, metric_row
from lmcore.reporting.version.verdicts import Tile

#: Rows that are shown at once; the others are folded away.
SHOWN_EVENTS = 8
SHOWN_VERSIONS = 12
SHOWN_RUNS = 10

_RUN_STATES = {
    "FINISHED": ("finished", "pass"),
    "FAILED": ("failed", "fail"),
    "KILLED": ("stopped", "warn"),
    "RUNNING": ("not ended", "idle"),
}


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
    quality = quality_chart(versions, metric, steps)
    seconds, unit, seconds_legend = seconds_chart(versions, steps)
    licenses, license_legend = license_chart(versions, steps)
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
        timeline=timeline(history, page),
        events=tuple(event_row(event) for event in reversed(history.events)),
        metric=metric_name(metric, versions),
        direction="higher is better" if higher_is_better(metric) else "lower is better",
        quality=quality,
        has_anchor=bool(quality and quality.second),
        matrix=gate_matrix(versions),
        drift=drift_chart(history),
        drift_rows=drift_rows(history),
        text_size=growth_chart(versions, "bytes", steps),
        documents=growth_chart(versions, "documents", steps),
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
        documents=count(documents) if documents is not None else "",
        size=size(num_bytes) if num_bytes is not None else "",
        took=duration(total) if total is not None else "",
        cores=duration(version.core_seconds) if finite(version.core_seconds) is not None else "",
        cost=_money(total, page.price_per_hour) if total is not None else "",
        verdict=one_line(verdict, REASON_CHARACTERS),
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
