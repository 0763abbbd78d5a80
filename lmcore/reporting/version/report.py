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
from lmcore.reporting.version import books, curves, measures, verdicts
from lmcore.reporting.version.attention import attention_views
from lmcore.reporting.version.bias import bias_section
from lmcore.reporting.version.changes import changes_view
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
    values = {**shared(data), **_charts(data), **_lists(data)}
    parts = {
        "quality": ("Quality", ["comparisons", "metrics"]),
        "training": ("Training", ["curves"]),
        "samples": ("Samples", ["samples"]),
        "changes": ("What is new", ["changes"]),
        "gates": ("Gates", ["gates"]),
        "answers": ("Answers", ["tables"]),
        "attention": ("Attention", ["attention"]),
        "bias": ("Bias", ["bias"]),
        "data": ("Data", ["facts", "splits", "rules", "account_values", "account_tables"]),
        "pretrained": ("Pretrained model", ["pretrained"]),
        "licences": ("Sources and licences", ["sources", "licenses"]),
        "controls": ("Controls", ["controls"]),
        "time": ("Time", ["timings"]),
        "reproduction": ("Reproduction", ["fingerprints", "plan", "environment", "config"]),
    }
    sections = {key: name for key, (name, kept) in parts.items() if any(values[k] for k in kept)}
    deciding, others = verdicts.parted(values["gates"])
    template = environment().get_template("report.html.j2")
    return template.render(
        data=data, sections=sections, kinds=_KINDS, deciding=deciding, others=others, **values
    )


def shared(data: ReportData) -> dict[str, Any]:
    """What page and card both tell, under the names that their templates use."""
    return {
        "title": one_line(data.title),
        "task": words(data.task),
        "created": created(data),
        "base": one_line(data.base or data.pretrained.name),
        "pretrained": books.pretrained(data),
        "not_recorded": books.what_is_not_recorded(data),
        "sentence": verdicts.outcome_sentence(data),
        "gate_count": verdicts.gate_count(data),
        "gates": [verdicts.gate_row(gate) for gate in data.gates],
        "budget": one_line(data.budget, 1_000),
        "bias": bias_section(data),
        "controls": control_table(data),
        "metrics": measures.metric_table(data),
        "facts": books.facts(data),
        "splits": books.splits(data),
        "rules": books.rules(data),
        "account_values": data.account.values,
        "account_tables": data.account.tables,
        "sources": books.source_shares(data),
        "tables": data.tables,
        "fingerprints": [(words(name), one_line(v)) for name, v in data.fingerprints.items()],
        "plan": data.plan,
        "environment": data.environment,
        "total": duration(data.total_seconds) if data.total_seconds else "",
    }


def _charts(data: ReportData) -> dict[str, Any]:
    return {
        "outcome_kind": _OUTCOME_KINDS[data.outcome],
        "tiles": verdicts.tiles(data),
        "comparisons": measures.comparisons(data),
        "curves": curves.curves(data),
        "curve_rows": curves.curve_table(data),
        "attention": attention_views(data.attention),
        "changes": changes_view(data),
    }


def _lists(data: ReportData) -> dict[str, Any]:
    steps = {name: v for name, v in data.seconds.items() if name != "total"}
    longest = max(steps.values(), default=0.0) or 1.0
    samples = [
        {
            "detail": _detail(sample),
            "prompt": clip(sample.prompt, TEXT_CHARACTERS),
            "text": clip(sample.text, TEXT_CHARACTERS),
        }
        for sample in data.samples
    ]
    return {
        "model": one_line(data.model),
        "samples": samples,
        "licenses": books.license_shares(data),
        "timings": [(words(n), duration(v), round(100 * v / longest, 2)) for n, v in steps.items()],
        "config": clip(data.config_yaml, TEXT_CHARACTERS),
    }


def _detail(sample: Sample) -> str:
    drawn = {"seed": sample.seed, "temperature": sample.temperature}
    parts = [f"{name} {number(value)}" for name, value in drawn.items() if value is not None]
    return ", ".join([*parts, one_line(sample.kind)] if sample.kind else parts)


def created(data: ReportData) -> str:
    """The time of the report as `2026-03-04 14:05 UTC`, or as it was given."""
    try:
        moment = datetime.fromisoformat(data.created)
    except ValueError:
        return one_line(data.created, 60)
    zone = " UTC" if moment.utcoffset() is not None and not moment.utcoffset() else ""
    return f"{moment:%Y-%m-%d %H:%M}{zone}"
