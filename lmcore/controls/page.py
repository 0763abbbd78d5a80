"""The record of controls as a page for people: `docs/controls.md`.

In comes a record, out comes Markdown.  The page is made by the command that ran the matrix, so
it never says anything that was not counted.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lmcore.counted import counted
from lmcore.evaluation.gates.standing import ControlRecord, Counted, GateRecord

_OPENING = """\
# Controls

Each gate is tried on cases with a known fault, which it must catch (*negative*), and on sound ones,
which it must let through (*healthy*). A gate that misses a negative control cannot vote PASS until
that is mended: the counts below ship with the package, keyed by the code and limits of the gate.

Written by `lmcore controls --record`; to run the matrix yourself, `lmcore controls`, and for the
spread between seeds that the champion gate's margin rests on, `lmcore controls --seed-noise`.

*right*: how often the gate said what it had to, and the lower 95 % bound of that share.
*wrong, at most*: the upper 95 % bound of the share of misses, or of false alarms where the case is
healthy. Both are exact (Clopper and Pearson), one-sided.
*statistic*: smallest, median and largest over the seeds.
"""


def machine() -> str:
    """The machine in a few words: processor, cores, interpreter, torch."""
    import torch

    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{names[0] if names else processor}, {cores} cores, Python {platform.python_version()},"
        f" torch {torch.__version__}"
    )


def controls_page(record: ControlRecord) -> str:
    """The whole page."""
    parts = [_OPENING]
    for gate, found in record.gates.items():
        parts.append(_section(gate, found))
    if not record.gates:
        parts.append("No control has been run yet.\n")
    return "\n".join(parts)


def statistic(counted: Counted) -> str:
    """Smallest, median and largest value of a control over its seeds."""
    if not counted.values:
        return ""
    low, middle, high = np.quantile(counted.values, [0.0, 0.5, 1.0])
    return f"{low:.3g} / {middle:.3g} / {high:.3g} {counted.unit}".strip()


def outcomes(counted: Counted) -> str:
    """How often each outcome came."""
    return ", ".join(f"{count} {outcome}" for outcome, count in counted.outcomes.items())


def _section(gate: str, found: GateRecord) -> str:
    negative = [counted for counted in found.controls if counted.kind == "negative"]
    healthy = [counted for counted in found.controls if counted.kind == "healthy"]
    missed = [counted.control for counted in negative if counted.missed]
    alarms = sum(counted.seeds - counted.as_expected for counted in healthy)
    seconds = sum(counted.seconds for counted in found.controls)
    verdict = (
        f"**Missed: {', '.join(missed)}.** This gate cannot vote PASS."
        if missed
        else f"All {len(negative)} negative controls were caught."
    )
    lines = [
        f"## {gate}",
        "",
        f"{verdict} {counted(alarms, 'false alarm')} in"
        f" {counted(sum(c.seeds for c in healthy), 'healthy case')}.",
        f"{found.date}, {seconds:,.0f} s of one core on {found.machine}; gate version"
        f" `{found.version[:16]}`.",
        "",
        *_table(found.controls),
        "",
    ]
    return "\n".join(lines)


def _table(controls: Sequence[Counted]) -> Iterable[str]:
    yield "| control | kind | right | wrong, at most | outcomes | statistic | limit |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for control in controls:
        limit = "" if control.limit is None else f"{control.limit:.4g}"
        yield (
            f"| {control.control} | {control.kind} | {control.as_expected} of {control.seeds} (≥"
            f" {control.rate.lower:.0%}) | {control.wrong.upper:.0%} | {outcomes(control)} |"
            f" {statistic(control)} | {limit} |"
        )
