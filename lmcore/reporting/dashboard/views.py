"""What a dashboard says of one model: texts, rows and charts, ready for the template.

In: `ModelHistory`.  Out: a `ModelView`.
"""

from __future__ import annotations

from dataclasses import dataclass

from lmcore.reporting.charts import Axis
from lmcore.reporting.dashboard import opening, sections
from lmcore.reporting.dashboard.decisions import EventRow, Timeline, event_row, timeline
from lmcore.reporting.dashboard.facts import ModelHistory, PipelineData
from lmcore.reporting.dashboard.rows import RunRow, VersionRow, mlflow_link, run_row, version_row
from lmcore.reporting.dashboard.stacks import StackedChart
from lmcore.reporting.dashboard.trends import TrendChart, version_axis
from lmcore.reporting.tables import Table
from lmcore.reporting.text import one_line, words
from lmcore.reporting.version.measures import TASKS
from lmcore.reporting.version.verdicts import Tile


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
    quality_title: str
    quality: TrendChart | None
    matrix: sections.GateMatrix | None
    drift: TrendChart | None
    drift_table: Table | None
    text_size: TrendChart | None
    documents: TrendChart | None
    licenses: StackedChart | None
    seconds: StackedChart | None
    cost: str
    versions: tuple[VersionRow, ...]
    runs: tuple[RunRow, ...]


def model_view(history: ModelHistory, page: PipelineData, *, position: int) -> ModelView:
    """Everything that the page says of one model.

    Args:
        history: What is known of it.
        page: For the addresses of servers, the price and the time.
        position: Of the model on the page; makes its identifiers unique.
    """
    versions, metric = history.versions, history.deciding
    steps = version_axis(v.number for v in versions) if versions else Axis(low=0.5, high=1.5)
    return ModelView(
        id=f"m{position}",
        name=one_line(history.model, 120),
        task=one_line(TASKS.get(history.task, words(history.task)), 60),
        link=mlflow_link(page, "models", history.model),
        sentence=opening.sentence(history),
        kind="pass" if history.champion else "idle",
        tiles=opening.tiles(history, page),
        overview=opening.overview(history),
        timeline=timeline(history, page),
        events=tuple(event_row(event) for event in reversed(history.events)),
        quality_title=sections.quality_title(metric, versions),
        quality=sections.quality_chart(versions, metric, steps),
        matrix=sections.gate_matrix(versions),
        drift=sections.drift_chart(history),
        drift_table=sections.drift_table(history),
        text_size=sections.size_chart(versions, steps),
        documents=sections.document_chart(versions, steps),
        licenses=sections.license_chart(versions, steps),
        seconds=sections.seconds_chart(versions, steps),
        cost=opening.cost_sentence(versions, page),
        versions=tuple(version_row(v, history, page) for v in reversed(versions)),
        runs=tuple(run_row(run, page) for run in history.runs),
    )
