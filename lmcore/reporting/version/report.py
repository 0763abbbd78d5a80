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
from lmcore.reporting.text import TEXT_CHARACTERS, clip, duration, number, one_line, words
from lmcore.reporting.version import bias, books, curves, measures, verdicts
from lmcore.reporting.version.attention import attention_views
from lmcore.reporting.version.controls import control_table
from lmcore.reporting.version.facts.report import ReportData, Sample

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
        "base": one_line(data.base),
        "sentence": verdicts.outcome_sentence(data),
        "outcome_kind": _OUTCOME_KINDS[data.outcome],
        "gate_count": verdicts.gate_count(data),
        "tiles": verdicts.tiles(data),
    }


def _evidence(data: ReportData) -> dict[str, Any]:
    return {
        "gates": [verdicts.gate_row(gate) for gate in data.gates],
        "bias": bias.bias_section(data),
        "controls": control_table(data),
        "comparisons": measures.comparisons(data),
        "metrics": measures.metric_table(data),
        "curves": curves.curves(data),
        "curve_rows": curves.curve_table(data),
        "samples": [
            {
                "detail": _detail(sample),
                "prompt": clip(sample.prompt, TEXT_CHARACTERS),
                "text": clip(sample.text, TEXT_CHARACTERS),
            }
            for sample in data.samples
        ],
        "tables": data.tables,
        "attention": attention_views(data.attention),
    }


def _detail(sample: Sample) -> str:
    drawn = {"seed": sample.seed, "temperature": sample.temperature}
    parts = [f"{name} {number(value)}" for name, value in drawn.items() if value is not None]
    return ", ".join([*parts, one_line(sample.kind)] if sample.kind else parts)


def _data_sections(data: ReportData) -> dict[str, Any]:
    account = data.account
    facts, splits, rules = books.facts(data), books.splits(data), books.rules(data)
    steps, total = data.timings.steps, data.timings.whole
    longest = max(steps.values(), default=0.0)
    return {
        "facts": facts,
        "splits": splits,
        "rules": rules,
        "account": account,
        "has_data": bool(facts or splits or rules or account.values or account.tables),
        "sources": books.source_shares(data),
        "licenses": books.license_shares(data),
        "timings": [
            (words(name), duration(v), round(100 * v / longest, 2) if longest else 0.0)
            for name, v in steps.items()
        ],
        "total": duration(total) if total else "",
    }


def _reproduction(data: ReportData) -> dict[str, Any]:
    pairs = {
        "fingerprints": [(words(name), one_line(v)) for name, v in data.fingerprints.items()],
        "plan": data.plan,
        "environment": data.environment,
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
