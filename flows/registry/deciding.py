"""Which metric the gates decide on: the one that pages and answers call the result of a model."""

from __future__ import annotations

_METRICS = {
    "language_modelling": "val_bits_per_byte",
    "sentiment": "accuracy",
    "translation": "bleu",
    "summarization": "rougeL",
}


def deciding_metric(task: str) -> str:
    """Name of the metric that decides; of a task that a stranger wrote, that of language models."""
    return _METRICS.get(task, "val_bits_per_byte")
