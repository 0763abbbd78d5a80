"""The pipeline over time as a single HTML file that loads nothing and runs nothing.

In: `PipelineData`.  Out: one page for all models: who was champion when and why, quality over
versions, what each gate said, data, licences, time and cost, runs.  It shares style, scales and
escaping with the report of one version; what is to be pointed at are titles of the browser's own,
and what is long is folded, so that 500 versions need no script either.
"""

from __future__ import annotations

from typing import Any

from lmcore.reporting.dashboard.facts import PipelineData
from lmcore.reporting.dashboard.moments import moment
from lmcore.reporting.dashboard.sections import LETTERS, SHOWN_GATE_ROWS
from lmcore.reporting.dashboard.views import ModelView, model_view
from lmcore.reporting.templates import environment

#: Stops a script or an address that got through the escaping; a server sends it as a header too.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'"
)
#: Rows that are shown at once; the others are folded away.
_SHOWN = {"events": 8, "versions": 12, "gate_rows": SHOWN_GATE_ROWS, "runs": 10}


def render_dashboard(data: PipelineData) -> str:
    """Draw the dashboard.

    Args:
        data: What is known; whatever is missing has no section.

    Returns:
        A complete HTML document without script; its only addresses are links to the pages of
        MLflow and Prefect, where `data` names them.
    """
    models = [model_view(h, data, position=i) for i, h in enumerate(data.models, start=1)]
    template = environment().get_template("dashboard.html.j2")
    return template.render(
        title="Models over time" if len(models) != 1 else f"{models[0].name} over time",
        created=moment(data.created),
        policy=CONTENT_SECURITY_POLICY,
        models=models,
        sections=_sections,
        shown=_SHOWN,
        letters=LETTERS,
        mlflow_url=data.mlflow_url,
        prefect_url=data.prefect_url,
        has_links=bool(data.mlflow_url or data.prefect_url),
        shows_cost=data.price_per_hour is not None,
    )


def _sections(model: ModelView) -> list[tuple[str, str]]:
    present: dict[str, tuple[str, Any]] = {
        "decisions": ("Decisions", model.events),
        "quality": ("Quality", model.quality),
        "gates": ("Gates", model.matrix),
        "drift": ("Drift", model.drift or model.versions),
        "data": ("Data", model.text_size or model.documents or model.licenses),
        "cost": ("Time and cost", model.seconds),
        "versions": ("Versions", model.versions),
        "runs": ("Last runs", model.runs),
    }
    return [(key, name) for key, (name, shown) in present.items() if shown]
