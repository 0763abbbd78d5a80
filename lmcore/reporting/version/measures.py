"""Metrics as a reader meets them: what each is called, and what it is compared with.

In: `ReportData`, whose mappings come from several steps and may lack any key.  Out: small
frozen views in which every field is there, so that the templates stay free of logic and an
undefined name in one of them is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmcore.reporting.charts import Axis, IntervalMark, Tick, axis
from lmcore.reporting.text import SHARE, finite, interval, number, one_line, words
from lmcore.reporting.version.facts import ReportData

Metric = Mapping[str, Any]

TASKS = {
    "language_modelling": "language modelling",
    "sentiment": "sentiment",
    "translation": "translation",
    "summarization": "summarization",
}
_HEADLINES = {
    "language_modelling": "val_bits_per_byte",
    "sentiment": "macro_f1",
    "translation": "chrf",
    "summarization": "rougeL",
}
_LABELS = {
    "val_bits_per_byte": "Held-out text",
    "train_bits_per_byte": "Text it was trained on",
    "anchor_bits_per_byte": "Held-out text, frozen part",
    "fresh_bits_per_byte": "Held-out text, new documents",
    "champion_bits_per_byte": "Champion",
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
_PARTS = {
    "anchor_bits_per_byte": "This version on the frozen slice",
    "fresh_bits_per_byte": "This version on new documents",
    "train_bits_per_byte": "This version on text it learnt from",
}
_COMPARED = {"macro_f1", "accuracy", "chrf", "bleu", "rouge1", "rouge2", "rougeL"}


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One metric as text."""

    name: str
    label: str
    value: str
    interval: str
    unit: str
    n: str


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
    unit: str
    better: str
    rows: tuple[ComparisonRow, ...]
    ticks: tuple[Tick, ...]


def label(name: str) -> str:
    """What people call a metric."""
    if name in _LABELS:
        return _LABELS[name]
    if name.startswith("baseline_kn") and name.endswith("_bits_per_byte"):
        order = name.removeprefix("baseline_kn").removesuffix("_bits_per_byte")
        return f"Byte {one_line(order)}-gram, Kneser-Ney"
    if name.startswith("baseline_") and name != "baseline_":
        return f"Baseline: {label(name.removeprefix('baseline_'))}"
    text = words(name)
    return text[:1].upper() + text[1:]


def metric_row(name: str, metric: Metric) -> MetricRow:
    """A metric of the contract's shape as text."""
    unit = str(metric.get("unit") or "")
    low, high = finite(metric.get("lower")), finite(metric.get("upper"))
    width = high - low if low is not None and high is not None else None
    return MetricRow(
        name=name,
        label=label(name),
        value=number(metric.get("value"), unit=unit, width=width),
        interval=interval(low, high, unit=unit),
        unit="" if unit == SHARE else one_line(unit, 60),
        n=number(metric.get("n"), unit="count") if metric.get("n") is not None else "",
    )


def headline_name(task: str) -> str:
    """The one metric that a task is judged by."""
    return _HEADLINES.get(task, "val_bits_per_byte")


def higher_is_better(name: str) -> bool:
    """Whether more of a metric is better; all that is not said here is a cost."""
    return name in _COMPARED


def headline(data: ReportData) -> MetricRow | None:
    """The one metric that a task is judged by, if it was measured."""
    name = headline_name(data.task)
    metric = data.metrics.get(name)
    return metric_row(name, metric) if metric else None


def comparisons(data: ReportData) -> list[Comparison]:
    """This version beside its baselines and the champion, metric by metric."""
    champion = f"Champion, version {data.champion}" if data.champion else "Champion"
    found = []
    if any(name.endswith("_bits_per_byte") for name in data.metrics):
        names = ["val_bits_per_byte", "champion_bits_per_byte"]
        names += sorted(name for name in data.metrics if name.startswith("baseline_"))
        names += ["anchor_bits_per_byte", "fresh_bits_per_byte", "train_bits_per_byte"]
        entries: list[tuple[str, str, Metric]] = []
        for name in names:
            metric = data.metrics.get(name)
            if name == "champion_bits_per_byte":
                metric = metric or data.champion_metrics.get("val_bits_per_byte")
                title = champion
            else:
                title = _PARTS.get(name, label(name))
                title = "This version" if name == "val_bits_per_byte" else title
            if metric and name.endswith("_bits_per_byte"):
                entries.append((title, _role(name), metric))
        found.append(_comparison("Bits per byte", "lower is better", entries))
    for name, metric in data.metrics.items():
        if name.endswith("_bits_per_byte") or name.startswith(("baseline_", "champion_")):
            continue
        others = [
            (label(f"baseline_{name}"), "baseline", data.metrics.get(f"baseline_{name}")),
            *(
                (
                    label(f"baseline_{kind}_{name}"),
                    "baseline",
                    data.metrics.get(f"baseline_{kind}_{name}"),
                )
                for kind in ("majority", "copy", "lead1", "lead3")
            ),
            (
                champion,
                "champion",
                data.metrics.get(f"champion_{name}") or data.champion_metrics.get(name),
            ),
        ]
        beside = [(title, role, other) for title, role, other in others if other]
        if beside and name in _COMPARED:
            entries = [("This version", "self", metric), *beside]
            found.append(_comparison(label(name), "higher is better", entries))
    return [comparison for comparison in found if comparison.rows]


def _role(name: str) -> str:
    if name == "val_bits_per_byte":
        return "self"
    first = name.split("_", 1)[0]
    return first if first in ("baseline", "champion") else "part"


def _comparison(title: str, better: str, entries: Sequence[tuple[str, str, Metric]]) -> Comparison:
    known = [entry for entry in entries if finite(entry[2].get("value")) is not None]
    values = [
        v
        for _, _, m in known
        for k in ("value", "lower", "upper")
        if (v := finite(m.get(k))) is not None
    ]
    scale = axis(values, padding=0.06) if values else Axis(low=0, high=1)
    rows = []
    for name, role, metric in known:
        text = metric_row(name, metric)
        place = {k: finite(metric.get(k)) for k in ("value", "lower", "upper")}
        at = {k: None if v is None else scale.at(v) for k, v in place.items()}
        summary = f"{name}: {text.value}" + (f", interval {text.interval}" if text.interval else "")
        rows.append(
            ComparisonRow(
                label=name,
                role=role,
                value=text.value,
                interval=text.interval,
                mark=IntervalMark(
                    value=at["value"], lower=at["lower"], upper=at["upper"], summary=summary
                ),
            )
        )
    unit = next((str(m.get("unit") or "") for _, _, m in known), "")
    return Comparison(title=title, unit=unit, better=better, rows=tuple(rows), ticks=scale.ticks(8))
