"""What Prefect's page of a flow run shows, and the id by which it is found."""

from __future__ import annotations

import logging

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext

from flows.home.artifact_keys import artifact_key
from flows.registry.versions import Version
from flows.steps.promote_version import Decision
from flows.steps.register_version import Candidate
from lmcore.reporting.version.summary import gate_rows, summary_markdown

logger = logging.getLogger(__name__)


def flow_run_id() -> str | None:
    """Id of the flow run that this code is part of; None outside of any."""
    context = FlowRunContext.get()
    return str(context.flow_run.id) if context and context.flow_run else None


def show_gates(candidate: Candidate, version: Version, decision: Decision) -> None:
    """Put the table of gates and a summary on the page; a run does not fail for lack of it."""
    data = candidate.report_data(version=version.number, outcome=decision.outcome)
    name = version.model
    try:
        create_table_artifact(
            gate_rows(data), key=artifact_key("gates", name), description=decision.reason
        )
        create_markdown_artifact(
            summary_markdown(data), key=artifact_key("summary", name), description=name
        )
    except Exception as error:  # whatever the client raises; the decision stands without it
        logger.warning("Prefect does not show the gates of this run: %s", error)
