"""Which steps a run will take, and about how long, from its last run and its budget."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from flows.progress.job import current
from flows.progress.sentence import duration
from lmcore.config import RunConfig
from lmcore.model.config import PretrainedConfig
from lmcore.tasks.task import TASKS

logger = logging.getLogger(__name__)


def expect_steps(config: RunConfig, last: Mapping[str, Any] | None) -> None:
    """Tell the job of this process, and the log, what will be done.

    Args:
        config: Of the run.
        last: What the last run of the model came to; None: there was none.
    """
    steps = steps_of(config)
    seconds = expected_seconds(config, last)
    current().expect(steps, seconds)
    told = ""
    if all(name in seconds for name in steps):
        told = f"; about {duration(sum(seconds[name] for name in steps))}, as the last run took"
    logger.info("run: %s%s", ", ".join(steps), told)


def steps_of(config: RunConfig) -> tuple[str, ...]:
    """Names of the steps, in order."""
    language = TASKS[config.task].is_language_model
    parts = language and config.gates.data_sufficiency.enabled
    return (
        *(("import",) if isinstance(config.model, PretrainedConfig) else ()),
        *("fingerprint", "ingest", "tokenize", "train"),
        *(("train_parts",) if parts else ()),
        *("evaluate", "register", "promote"),
    )


def expected_seconds(config: RunConfig, last: Mapping[str, Any] | None) -> dict[str, float]:
    """Seconds by step: what the last run took, but for a training that has a budget."""
    known = (last or {}).get("seconds")
    seconds = {
        str(name): float(value)
        for name, value in (known.items() if isinstance(known, Mapping) else ())
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    }
    if config.training.budget_seconds is not None:
        seconds["train"] = config.training.budget_seconds
    return seconds
