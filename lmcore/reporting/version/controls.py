"""Which controls stand behind each gate's answer, as the gate's evidence says.

In: the gates of a version.  Out: a table with one row a gate, for the report and the card.
"""

from __future__ import annotations

from lmcore.reporting.tables import Table
from lmcore.reporting.text import one_line, words
from lmcore.reporting.version.facts.gates import Standing
from lmcore.reporting.version.facts.report import ReportData

_NOT_RUN = "not tried at this version (other code or other limits than those that were)"


def control_table(data: ReportData) -> Table | None:
    """One row a gate that was asked; None where no gate says anything of controls."""
    rows = [
        _row(words(gate.name), gate.controls)
        for gate in data.gates
        if gate.controls is not None and gate.outcome != "SKIPPED"
    ]
    if not rows:
        return None
    return Table(
        caption="Controls behind each gate",
        header=("Gate", "Caught", "Let through", "Version", "When"),
        rows=tuple(rows),
    )


def _row(gate: str, standing: Standing) -> tuple[str, ...]:
    version = one_line(standing.version, 16)
    if standing.status not in ("vouched", "missed"):
        return (gate, _NOT_RUN, "", version, "")
    caught, let_through = (
        "; ".join(
            f"{one_line(case.name, 100)} {case.as_expected} of {case.seeds}"
            for case in standing.controls
            if case.kind == kind
        )
        for kind in ("negative", "healthy")
    )
    missed = "MISSED: " if standing.status == "missed" else ""
    return (gate, missed + caught, let_through, version, one_line(standing.date, 20))
