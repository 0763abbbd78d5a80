"""Which controls stand behind each gate's answer, as the gate's evidence says.

In: `ReportData`, whose gates carry under `evidence.controls` what the controls said of them at
their version.  Out: a table with one row a gate, for the report and the card.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmcore.reporting.text import one_line, words
from lmcore.reporting.version.books import Table
from lmcore.reporting.version.facts import ReportData

_NOT_RUN = "not tried at this version (other code or other limits than those that were)"


def control_table(data: ReportData) -> Table | None:
    """One row a gate that was asked; None where no gate says anything of controls."""
    rows = []
    for gate in data.gates:
        standing = (gate.get("evidence") or {}).get("controls")
        if isinstance(standing, Mapping) and gate.get("outcome") != "SKIPPED":
            rows.append(_row(str(gate.get("gate") or "gate"), standing))
    if not rows:
        return None
    return Table(
        caption="Controls behind each gate",
        header=("Gate", "Caught", "Let through", "Version", "When"),
        rows=tuple(rows),
    )


def _row(gate: str, standing: Mapping[str, Any]) -> tuple[str, ...]:
    counted = [row for row in standing.get("controls") or () if isinstance(row, Mapping)]
    version = one_line(standing.get("version") or "", 16)
    if standing.get("status") not in ("vouched", "missed"):
        return (words(gate), _NOT_RUN, "", version, "")
    sides = [
        "; ".join(
            f"{one_line(row.get('control'), 100)} {row.get('as_expected')} of {row.get('seeds')}"
            for row in counted
            if row.get("kind") == kind
        )
        for kind in ("negative", "healthy")
    ]
    missed = "MISSED: " if standing["status"] == "missed" else ""
    return (
        words(gate),
        missed + sides[0],
        sides[1],
        version,
        one_line(standing.get("date") or "", 20),
    )
