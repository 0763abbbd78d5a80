"""Metrics as a reader meets them: what each is called, and what it is compared with.

In: `ReportData`.  Out: a table of all metrics, and comparisons: values side by side on one axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lmcore.reporting.charts import Axis, IntervalMark, Tick, axis
from lmcore.reporting.estimates import Estimate
from lmcore.reporting.tables import Table
from lmcore.reporting.text import number, one_line, words
from lmcore.reporting.version.facts.report import ReportData

_LABELS = {
    "val_bits_per_byte": "Held-out text",
    "train_bits_per_byte": "Text it was trained on",
    "anchor_bits_per_byte": "Held-out text, frozen part",
    "fresh_bits_per_byte": "Held-out text, new documents",
    "champion_bits_per_byte": "Champion",
    "untouched_bits_per_byte": "Pretrained model, untouched",
    "val_loss_nats_per_token": "Loss on held-out text",
    "train_tokens_per_second": "Training speed",
    "params": "Parameters",
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "bleu": "BLEU",
    "chrf": "chrF",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "calibration_error": "Expected calibration error",
    "baseline_majority_accuracy": "Baseline: always the most frequent label",
    "baseline_words_accuracy": "Its counted words alone",
    **{
        f"baseline_{prefix}_{name}": f"Baseline: {title}, {shown}"
        for prefix, title in (
            ("copy", "the source as it is"),
            ("lead1", "first sentence"),
            ("lead3", "first three sentences"),
        )
        for name, shown in (
            ("bleu", "BLEU"),
            ("chrf", "chrF"),
            ("rouge1", "ROUGE-1"),
            ("rouge2", "ROUGE-2"),
            ("rougeL", "ROUGE-L"),
        )
    },
}
_BITS = "_bits_per_byte"
#: On text later than all that the pretrained model behind a version has read.
_LATER = "_later_bits_per_byte"
#: Of the baselines of tasks, as their metrics are named.
_BASELINES = ("majority", "copy", "lead1", "lead3")
_PARTS = {
    "anchor_bits_per_byte": "This version on the frozen slice",
    "fresh_bits_per_byte": "This version on new documents",
    "train_bits_per_byte": "This version on text it learnt from",
}
#: Of tasks; of each, more is better.
_COMPARED = {"macro_f1", "accuracy", "chrf", "bleu", "rouge1", "rouge2", "rougeL"}


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """One model's or one text's value of a metric, on the axis of its comparison."""

    label: str
    role: str
    value: str
    interval: str
    mark: IntervalMark


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Values of one metric side by side."""

    title: str
    better: str
    rows: tuple[ComparisonRow, ...]
    ticks: tuple[Tick, ...]


def label(name: str) -> str:
    """What people call a metric."""
    if name in _LABELS:
        return _LABELS[name]
    if name.endswith(_LATER):
        return f"{label(name.removesuffix(_LATER) + _BITS)}, later documents"
    if name.startswith("baseline_kn") and name.endswith("_bits_per_byte"):
        order = name.removeprefix("baseline_kn").removesuffix("_bits_per_byte")
        return f"Byte {one_line(order)}-gram, Kneser-Ney"
    if name.startswith("baseline_") and name != "baseline_":
        return f"Baseline: {label(name.removeprefix('baseline_'))}"
    text = words(name)
    return text[:1].upper() + text[1:]


def metric_table(data: ReportData) -> Table | None:
    """All metrics as text."""
    rows = [
        (
            label(name),
            metric.shown,
            metric.bounds,
            metric.shown_unit,
            number(metric.n, unit="count") if metric.n is not None else "",
        )
        for name, metric in data.metrics.items()
    ]
    header = ("Metric", "Value", "95 % bounds", "Unit", "n")
    return Table(caption="All metrics", header=header, rows=tuple(rows)) if rows else None


def comparisons(data: ReportData) -> list[Comparison]:
    """This version beside its baselines and the champion, metric by metric."""
    champion = f"Champion, version {data.champion}" if data.champion else "Champion"
    base = one_line(data.pretrained.name, 60)
    titles = {
        **_PARTS,
        "val_bits_per_byte": "This version",
        "untouched_bits_per_byte": f"{base or 'Pretrained model'}, untouched",
        "champion_bits_per_byte": champion,
    }
    baselines = sorted(n for n in data.metrics if n.startswith("baseline_") and n.endswith(_BITS))
    models = ["val_bits_per_byte", "untouched_bits_per_byte", "champion_bits_per_byte"]
    models += [name for name in baselines if not name.endswith(_LATER)]
    pairs = [(name, name.removesuffix(_BITS) + _LATER) for name in models]
    on_all = [(name, data.metrics.get(name)) for name in [*models, *_PARTS]]
    on_later = [(name, data.metrics.get(later)) for name, later in pairs]
    day = one_line(data.pretrained.known_until, 20)
    since = f"text later than {day}" if day else "text that is later than a pretrained model's"
    # One axis, so that the two can be read against each other.
    scale = _axis([metric for _, metric in on_all + on_later])
    found = [
        _comparison(
            title,
            "lower is better",
            [(titles.get(name, label(name)), _role(name), metric) for name, metric in entries],
            scale,
        )
        for title, entries in (
            ("Bits per byte", on_all),
            (f"Bits per byte on {since}", on_later),
        )
    ]
    for name, metric in data.metrics.items():
        if name not in _COMPARED:
            continue
        others = [f"baseline_{name}", *(f"baseline_{kind}_{name}" for kind in _BASELINES)]
        beside = [(label(other), "baseline", data.metrics.get(other)) for other in others]
        beside.append((champion, "champion", data.metrics.get(f"champion_{name}")))
        if any(other for _, _, other in beside):
            entries = [("This version", "self", metric), *beside]
            scale = _axis([metric for *_, metric in entries])
            found.append(_comparison(label(name), "higher is better", entries, scale))
    return [comparison for comparison in found if comparison.rows]


def _role(name: str) -> str:
    if name == "val_bits_per_byte":
        return "self"
    first = name.split("_", 1)[0]
    return first if first in ("baseline", "champion", "untouched") else "part"


def _axis(metrics: Sequence[Estimate | None]) -> Axis:
    values = [v for metric in metrics if metric is not None for v in metric.known]
    return axis(values, padding=0.06) if values else Axis(low=0, high=1)


def _comparison(
    title: str, better: str, entries: Sequence[tuple[str, str, Estimate | None]], scale: Axis
) -> Comparison:
    known = [
        (name, role, metric)
        for name, role, metric in entries
        if metric is not None and metric.value is not None
    ]
    rows = []
    for name, role, metric in known:
        bounds = f", interval {metric.bounds}" if metric.bounds else ""
        rows.append(
            ComparisonRow(
                label=name,
                role=role,
                value=metric.shown,
                interval=metric.bounds,
                mark=IntervalMark.of(metric, scale, summary=f"{name}: {metric.shown}{bounds}"),
            )
        )
    return Comparison(title=title, better=better, rows=tuple(rows), ticks=scale.ticks(8))
