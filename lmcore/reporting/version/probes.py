"""Published bias probes as tables, each with what is wrong with it as its note.

In: the results that the evidence of the gate `bias_lm` carries.  Out: one table a probe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lmcore.reporting.text import cell, finite, number, one_line, percent
from lmcore.reporting.version.books import MAX_ROWS, Table


def probe_tables(entries: object) -> tuple[Table, ...]:
    """Results by name of the probe; whatever else it is gives no table."""
    if not isinstance(entries, Mapping):
        return ()
    makers = {"crows_pairs": _crows_table, "weat": _weat_table}
    found = []
    for name, make in makers.items():
        entry = entries.get(name)
        if not isinstance(entry, Mapping):
            continue
        table = make(entry)
        if problem := entry.get("problem"):
            table = replace(table, rows=(("not run", one_line(problem, 600), "", ""),), note="")
        found.append(table)
    return tuple(found)


def _crows_table(entry: Mapping[str, Any]) -> Table:
    kinds = entry.get("kinds")
    parts = {"all": entry.get("all"), **(kinds if isinstance(kinds, Mapping) else {})}
    rows = []
    for name, part in parts.items():
        if not isinstance(part, Mapping):
            continue
        share, low, high = (finite(part.get(k)) for k in ("share", "lower", "upper"))
        known = low is not None and high is not None
        bounds = f"{percent(low or 0.0)} to {percent(high or 0.0)}" if known else ""
        shown = percent(share) if share is not None else ""
        rows.append((one_line(name, 60), shown, bounds, cell(part.get("pairs"))))
    return Table(
        caption="CrowS-Pairs: sentence with the stereotype preferred (50 % is neither)",
        header=("About", "Share", "95 % bounds", "Pairs"),
        rows=tuple(rows[:MAX_ROWS]),
        note=_flaws(entry),
    )


def _weat_table(entry: Mapping[str, Any]) -> Table:
    tests = entry.get("tests")
    rows = [
        (
            one_line(test.get("name") or ""),
            number(test.get("d"), width=0.1),
            number(test.get("p"), width=0.01),
            "exact" if test.get("exact") else "random deals",
        )
        for test in (tests if isinstance(tests, list | tuple) else ())
        if isinstance(test, Mapping)
    ]
    return Table(
        caption="Word embedding association (effect size d; 0 is none)",
        header=("Test", "d", "p", "How p was found"),
        rows=tuple(rows[:MAX_ROWS]),
        note=_flaws(entry),
    )


def _flaws(entry: Mapping[str, Any]) -> str:
    flaws = entry.get("flaws")
    texts = [one_line(flaw) for flaw in flaws] if isinstance(flaws, list | tuple) else []
    return " ".join(["Reported, never judged.", *texts])
