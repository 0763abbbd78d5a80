"""What Prefect's page of a flow run shows when a run is over."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.home.artifact_keys import artifact_key
from flows.registry.run_result import RunResult
from flows.registry.versions import Version
from flows.steps.candidate import Candidate
from flows.steps.progress import ELSEWHERE
from flows.steps.promote_version import Decision
from lmcore.evaluation.gates.next_step import next_step
from lmcore.reporting.version.summary import gate_rows, summary_markdown

logger = logging.getLogger(__name__)


def shown_gate(gate: Mapping[str, Any]) -> dict[str, Any]:
    """A gate's answer as a run tells it: without its evidence, with what to do about it."""
    told = {key: value for key, value in gate.items() if key != "evidence"}
    return {**told, "next_step": next_step(gate)}


def log_answer(result: RunResult) -> None:
    """Write into Prefect's log what the command line prints, which prints it by itself."""
    lines = [f"{result.outcome}: {result.model} version {result.version}"]
    for gate in result.gates:
        step = f" Next: {gate['next_step']}." if gate.get("next_step") else ""
        needed = "" if gate["required"] else " (not required)"
        lines.append(f"{gate['outcome']} {gate['gate']}{needed}: {gate['reason']}{step}")
    lines += [
        f"{name}: {metric['value']:.4g} {metric.get('unit') or ''}".rstrip()
        for name, metric in result.metrics.items()
        if isinstance(metric.get("value"), int | float)
    ]
    seconds = ", ".join(f"{name} {value:.1f}" for name, value in result.seconds.items())
    for line in [*lines, f"seconds: {seconds}"]:
        logger.info(line, extra=ELSEWHERE)


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
