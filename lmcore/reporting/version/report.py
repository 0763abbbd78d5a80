"""The report of one version as a single HTML file that loads nothing and runs nothing.

In: `ReportData`.  Out: a page that can be mailed, printed and opened from a disk in ten years.
Corpus text and every name in it are hostile: the template engine escapes whatever it prints,
control characters are made visible on the way, and a content security policy would stop a
script that got through all of this.  The same data always give the same bytes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lmcore.reporting.templates import environment
from lmcore.reporting.text import (
    TEXT_CHARACTERS,
    cell,
    clip,
    duration,
    finite,
    one_line,
    words,
)
from lmcore.reporting.version import bias, curves, measures, verdicts
from lmcore.reporting.version import books as ledger
from lmcore.reporting.version.attention import attention_views
from lmcore.reporting.version.controls import control_table
from lmcore.reporting.version.facts import ReportData

_KINDS = {
    "PASS": "pass",
    "FAIL": "fail",
    "INCONCLUSIVE": "warn",
    "WARN": "warn",
    "SKIPPED": "idle",
}
_OUTCOME_KINDS = {
    "passed": "pass",
    "promoted": "pass",
    "registered": "pass",
    "rejected": "fail",
    "skipped": "idle",
}


def render_report(data: ReportData) -> str:
    """Draw the report of one version.

    Args:
        data: What is known; whatever is missing has no section.

    Returns:
        A complete HTML document without any external address or script.
    """
    values = {**_opening(data), **_evidence(data), **_data_sections(data), **_reproduction(data)}
    present = {
        "gates": ("Gates", values["gates"]),
        "controls": ("Controls", values["controls"]),
        "quality": ("Quality", values["comparisons"] or values["metrics"]),
        "bias": ("Bias", values["bias"]),
        "training": ("Training", values["curves"]),
        "answers": ("Answers", values["tables"]),
        "samples": ("Samples", values["samples"]),
        "attention": ("Attention", values["attention"]),
        "data": ("Data", values["has_data"]),
        "licences": ("Sources and licences", values["sources"] or values["licenses"]),
        "time": ("Time", values["timings"]),
        "reproduction": ("Reproduction", values["has_reproduction"]),
    }
    sections = [(key, name) for key, (name, shown) in present.items() if shown]
    template = environment().get_template("report.html.j2")
    return template.render(data=data, sections=sections, kinds=_KINDS, **values)


def _opening(data: ReportData) -> dict[str, Any]:
    return {
        "title": one_line(data.title),
        "model": one_line(data.model),
        "task": one_line(measures.TASKS.get(data.task, words(data.task))),
        "created": created(data),
        "base": one_line(data.base or ""),
        "sentence": verdicts.outcome_sentence(data),
        "outcome_kind": _OUTCOME_KINDS[data.outcome],
        "gate_count": verdicts.gate_count(data),
        "tiles": verdicts.tiles(data),
    }


def _evidence(data: ReportData) -> dict[str, Any]:
    rows = [measures.metric_row(name, metric) for name, metric in data.metrics.items()]
    metrics = ledger.Table(
        caption="All metrics",
        header=("Metric", "Value", "95 % bounds", "Unit", "n"),
        rows=tuple((row.label, row.value, row.interval, row.unit, row.n) for row in rows),
    )
    curve = ledger.Table(
        caption="Evaluations on the tune split",
        header=("Step", "Training loss", "Tune split"),
        rows=tuple(curves.curve_table(data)),
    )
    samples = []
    for sample in data.samples:
        detail = [
            f"{name} {cell(sample[name])}" for name in ("seed", "temperature") if name in sample
        ]
        if "kind" in sample:
            detail.append(one_line(sample["kind"]))
        samples.append(
            {
                "detail": ", ".join(detail),
                "prompt": clip(sample.get("prompt") or "", TEXT_CHARACTERS),
                "text": clip(sample.get("text") or "", TEXT_CHARACTERS),
            }
        )
    return {
        "gates": [verdicts.gate_row(gate) for gate in data.gates],
        "bias": bias.bias_section(data),
        "controls": control_table(data),
        "comparisons": measures.comparisons(data),
        "metrics": metrics if rows else None,
        "curves": curves.curves(data),
        "curve_rows": curve if curve.rows else None,
        "samples": samples,
        "tables": ledger.given_tables(data),
        "attention": attention_views(data.attention),
    }


def _data_sections(data: ReportData) -> dict[str, Any]:
    facts, splits, rules = ledger.facts(data), ledger.splits(data), ledger.rules(data)
    values, tables = ledger.other_tables(data)
    seconds = {name: finite(value) for name, value in data.seconds.items()}
    steps = {name: v for name, v in seconds.items() if v is not None and name != "total"}
    longest = max(steps.values(), default=0.0)
    total = seconds.get("total") or sum(steps.values())
    return {
        "facts": facts,
        "splits": splits,
        "rules": rules,
        "ledger_values": values,
        "ledger_tables": tables,
        "has_data": bool(facts or splits or rules or values or tables),
        "sources": ledger.source_shares(data),
        "licenses": ledger.license_shares(data),
        "timings": [
            (words(name), duration(v), round(100 * v / longest, 2) if longest else 0.0)
            for name, v in steps.items()
        ],
        "total": duration(total) if total else "",
    }


def _reproduction(data: ReportData) -> dict[str, Any]:
    pairs = {
        "fingerprints": [(words(name), one_line(v)) for name, v in data.fingerprints.items() if v],
        "plan": [(words(name), cell(value)) for name, value in data.plan.items()],
        "environment": [(words(name), cell(value)) for name, value in data.environment.items()],
        "config": clip(data.config_yaml, TEXT_CHARACTERS),
    }
    return {**pairs, "has_reproduction": any(pairs.values())}


def created(data: ReportData) -> str:
    """The time of the report as `2026-03-04 14:05 UTC`, or as it was given."""
    try:
        moment = datetime.fromisoformat(data.created)
    except ValueError:
        return one_line(data.created, 60)
    zone = " UTC" if moment.utcoffset() is not None and not moment.utcoffset() else ""
    return f"{moment:%Y-%m-%d %H:%M}{zone}"
