"""`lmcore sweep`: which learning rate suits this data and model, found by short runs.

Data is prepared by the very steps of the pipeline, in the same content store, so neither command
repeats the other's work. No Prefect server is needed, and nothing is registered.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.home.configurations import names_the_hub
from flows.home.environment import allow_hub, current
from flows.home.locks import using_content
from flows.home.signals import StoppedError, polite_signals, stop_requested
from lmcore.config_file import load_config
from lmcore.errors import UserError

logger = logging.getLogger(__name__)


def sweep_rates(
    config_file: Path | None, *, overrides: Sequence[str], rates: int
) -> dict[str, Any]:
    """Try at least `rates` learning rates around the configured one.

    Raises:
        UserError: If the configuration or a source is wrong.
        StoppedError: If the user stopped between two steps.
        TrainingInterrupted: If the user stopped a run; the same command goes on.
    """
    home = current()
    config = load_config(
        home.resolve(config_file) if config_file else None,
        overrides=overrides,
        started_in=home.started_in,
    )
    if config.task != "language_modelling":
        raise UserError(
            f"task: a sweep is for language models, and this is {config.task}; set"
            " training.learning_rate by hand"
        )
    if names_the_hub(config):
        allow_hub()
    with polite_signals(), using_content(home.locks):
        # Heavy imports, after the environment is settled.
        from flows.steps.ingest_documents import fingerprint, ingest_documents
        from flows.steps.tokenize_documents import tokenize_documents
        from lmcore.artifacts import ContentStore
        from lmcore.training.attempt import Attempt
        from lmcore.training.trials.short_runs import SweepRun
        from lmcore.training.trials.sweep import SHARE, sweep

        def go_on() -> None:
            if stop_requested():
                raise StoppedError("stopped; finished steps are kept, and the same command goes on")

        def on_run(run: SweepRun) -> None:
            value = "diverged" if run.diverged else f"{run.bits_per_byte().value:.4f} bits/byte"
            logger.info("sweep: learning rate %g, tune %s", run.learning_rate, value)

        found = fingerprint(config)
        go_on()
        documents = ingest_documents(config, found, home)
        go_on()
        corpus = tokenize_documents(config, documents, home)
        go_on()
        result = sweep(
            Attempt(
                store=ContentStore(home.content), work_dir=home.work, should_stop=stop_requested
            ),
            corpus,
            model=config.model,
            # Rates are tried on random weights, also where the training itself goes on from others.
            training=config.training.model_copy(update={"start": "scratch"}),
            rates=rates,
            on_run=on_run,
        )
    best, plan = result.best, result.runs[0].plan
    return {
        "model": config.name,
        "sentence": result.sentence,
        "configured": result.configured,
        "recommended": result.recommended,
        "set": None
        if result.recommended is None
        else f"training.learning_rate={result.recommended!r}",
        "steps": plan.steps,
        "tokens": plan.steps * plan.tokens_per_step,
        "share_of_budget": SHARE,
        "seeds": 1,
        "at_edge": result.at_edge,
        "runs": [
            {
                "learning_rate": run.learning_rate,
                "diverged": run.diverged,
                "reason": run.summary["reason"],
                "tune_bits_per_byte": None if run.diverged else run.bits_per_byte().to_json(),
                "minus_best": None if run.diverged or best is None else run.minus(best).to_json(),
                "seconds": run.summary["seconds"],
            }
            for run in result.runs
        ],
    }
