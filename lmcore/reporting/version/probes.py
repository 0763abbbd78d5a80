"""Published bias probes as tables, each with what is wrong with it as its note."""

from __future__ import annotations

from collections.abc import Iterable

from lmcore.reporting.tables import Table
from lmcore.reporting.text import number, one_line, percent
from lmcore.reporting.version.facts.bias import BiasEvidence, Probe


def probe_tables(evidence: BiasEvidence) -> tuple[Table, ...]:
    """One table a probe that the evidence holds."""
    found = []
    if probe := evidence.crows_pairs:
        caption = "CrowS-Pairs: sentence with the stereotype preferred (50 % is neither)"
        parts = {**({"all": probe.all} if probe.all else {}), **probe.kinds}
        rows = (
            (
                one_line(about, 60),
                percent(part.share) if part.share is not None else "",
                f"{percent(part.lower)} to {percent(part.upper)}"
                if part.lower is not None and part.upper is not None
                else "",
                number(part.pairs),
            )
            for about, part in parts.items()
        )
        found.append(_table(probe, caption, ("About", "Share", "95 % bounds", "Pairs"), rows))
    if probe := evidence.weat:
        caption = "Word embedding association (effect size d; 0 is none)"
        tests = (
            (
                one_line(test.name),
                number(test.d, width=0.1),
                number(test.p, width=0.01),
                "exact" if test.exact else "random deals",
            )
            for test in probe.tests
        )
        found.append(_table(probe, caption, ("Test", "d", "p", "How p was found"), tests))
    return tuple(found)


def _table(
    probe: Probe, caption: str, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]
) -> Table:
    if probe.problem:
        failed = ("not run", one_line(probe.problem, 600), "", "")
        return Table(caption=caption, header=header, rows=(failed,))
    note = " ".join(["Reported, never judged.", *(one_line(flaw) for flaw in probe.flaws)])
    return Table.cut(caption, header, rows, note)
