"""The pipeline over time as a single HTML file that loads nothing and runs nothing.

In: `PipelineData`.  Out: one page for all models: who was champion when and why, quality over
versions, what each gate said, data, licences, time and cost, runs.  It shares style, scales and
escaping with the report of one version; what is to be pointed at are titles of the browser's own,
and what is long is folded, so that 500 versions need no script either.
"""

from __future__ import annotations

from typing import Any

from lmcore.reporting.charts import Axis
from lmcore.reporting.dashboard import opening
from lmcore.reporting.dashboard import sections as drawn
from lmcore.reporting.dashboard.decisions import event_row, timeline
from lmcore.reporting.dashboard.facts import ModelHistory, PipelineData
from lmcore.reporting.dashboard.moments import moment
from lmcore.reporting.dashboard.rows import mlflow_link, run_row, running_row, version_row
from lmcore.reporting.dashboard.trends import version_axis
from lmcore.reporting.templates import environment
from lmcore.reporting.text import one_line, words

#: Stops a script or an address that got through the escaping; a server sends it as a header too.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'"
)
#: Rows that are shown at once; the others are folded away.
_SHOWN = {"events": 8, "versions": 12, "gate_rows": drawn.SHOWN_GATE_ROWS, "runs": 10}


def render_dashboard(data: PipelineData) -> str:
    """Draw the dashboard.

    Args:
        data: What is known; whatever is missing has no section.

    Returns:
        A complete HTML document without script; its only addresses are links to the pages of
        MLflow and Prefect, where `data` names them.
    """
    models = [_model(h, data, f"m{i}") for i, h in enumerate(data.models, start=1)]
    template = environment().get_template("dashboard.html.j2")
    return template.render(
        title="Models over time" if len(models) != 1 else f"{models[0]['name']} over time",
        created=moment(data.created),
        policy=CONTENT_SECURITY_POLICY,
        models=models,
        shown=_SHOWN,
        letters=drawn.LETTERS,
        running=[running_row(job, data) for job in data.running],
        upcoming=[(one_line(name, 120), one_line(when, 80)) for name, when in data.upcoming],
        refresh_seconds=data.refresh_seconds,
        mlflow_url=data.mlflow_url,
        prefect_url=data.prefect_url,
        has_links=bool(data.mlflow_url or data.prefect_url),
        shows_cost=data.price_per_hour is not None,
    )


def _model(history: ModelHistory, page: PipelineData, identifier: str) -> dict[str, Any]:
    """Everything that the page says of one model."""
    versions = history.versions
    steps = version_axis(v.number for v in versions) if versions else Axis(low=0.5, high=1.5)
    values: dict[str, Any] = {
        "id": identifier,
        "name": one_line(history.model, 120),
        "task": one_line(words(history.task), 60),
        "link": mlflow_link(page, "models", history.model),
        "sentence": opening.sentence(history),
        "kind": opening.kind(history),
        "tiles": opening.tiles(history, page),
        "overview": opening.overview(history),
        "timeline": timeline(history, page),
        "events": [event_row(event) for event in reversed(history.events)],
        "quality_title": drawn.quality_title(history),
        "quality": drawn.quality_chart(history, steps),
        "matrix": drawn.gate_matrix(versions),
        "drift": drawn.drift_chart(history),
        "drift_table": drawn.drift_table(history),
        "text_size": drawn.size_chart(versions, steps),
        "documents": drawn.document_chart(versions, steps),
        "licenses": drawn.license_chart(versions, steps),
        "seconds": drawn.seconds_chart(versions, steps),
        "cost": opening.cost_sentence(versions, page),
        "versions": [version_row(v, history, page) for v in reversed(versions)],
        "runs": [run_row(run, page) for run in history.runs],
    }
    parts = {
        "decisions": ("Decisions", ["events"]),
        "quality": ("Quality", ["quality"]),
        "gates": ("Gates", ["matrix"]),
        "drift": ("Drift", ["drift", "versions"]),
        "data": ("Data", ["text_size", "documents", "licenses"]),
        "cost": ("Time and cost", ["seconds"]),
        "versions": ("Versions", ["versions"]),
        "runs": ("Last runs", ["runs"]),
    }
    sections = {key: name for key, (name, kept) in parts.items() if any(values[k] for k in kept)}
    return {**values, "sections": sections}
