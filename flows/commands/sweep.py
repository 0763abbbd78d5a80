"""`lmcore sweep`: which learning rate suits this data and model, found by short runs.

Data is prepared by the very steps of the pipeline, in the same content store, so neither command
repeats the other's work. No Prefect server is needed, and nothing is registered.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from lmcore.counted import counted
from lmcore.errors import UserError

if TYPE_CHECKING:
    from lmcore.training.trials.short_runs import SweepRun

logger = logging.getLogger(__name__)


@command(
    "lmcore sweep --config my.yaml",
    "lmcore sweep --config my.yaml --rates 5 --set training.budget_seconds=600",
)
@options.config
@options.overrides
@click.option(
    "--rates",
    type=click.IntRange(2, 9),
    default=3,
    metavar="N",
    help="Rates to try, a factor of two apart.",
)
def sweep(config_file: Path | None, overrides: tuple[str, ...], rates: int) -> Answer:
    """Find the learning rate by short runs; registers nothing.

    Rates around the configured one are tried, and more where the best of them is at an end; what
    counts is the loss on the tune split.
    """
    from flows.commands.shared.configuration import configuration
    from flows.home.environment import current
    from flows.home.locks import using_content
    from flows.home.signals import SAVING, finishing, polite_signals, stop_requested
    from lmcore.tasks.task import TASKS

    home, config = current(), configuration(config_file, overrides)
    if not TASKS[config.task].is_language_model:
        raise UserError(
            f"task: a sweep is for language models, and this is {config.task}; set"
            " training.learning_rate by hand"
        )
    with polite_signals(), using_content(home.locks), finishing(SAVING):
        from flows.commands.shared.own_text import prepare_text
        from lmcore.content_store import ContentStore
        from lmcore.training.attempt import Attempt
        from lmcore.training.trials.sweep import SHARE
        from lmcore.training.trials.sweep import sweep as try_rates

        prepared = prepare_text(config, home)
        result = try_rates(
            Attempt(
                store=ContentStore(home.content), work_dir=home.work, should_stop=stop_requested
            ),
            prepared.corpus,
            model=config.model,
            # Rates are tried from the start, also where the training goes on from a champion.
            training=config.training.model_copy(update={"start": "scratch"}),
            rates=rates,
            on_run=_say,
            base=prepared.base,
        )
    best, plan, recommended = result.best, result.runs[0].plan, result.recommended
    values = {
        "model": config.name,
        "sentence": result.sentence,
        "configured": result.configured,
        "recommended": recommended,
        "set": None if recommended is None else f"training.learning_rate={recommended!r}",
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
    return Answer(values=values, text=_text)


def _say(run: SweepRun) -> None:
    value = "diverged" if run.diverged else f"{run.bits_per_byte().value:.4f} bits/byte"
    logger.info("sweep: learning rate %g, tune %s", run.learning_rate, value)


def _text(answer: Values) -> None:
    """One row a rate, and what to do."""
    rows = []
    for run in answer["runs"]:
        rate, minus = run["learning_rate"], run["minus_best"]
        marks = ", ".join(m for m in ("configured", "recommended") if answer[m] == rate)
        tune, behind = "diverged", "-"
        if not run["diverged"]:
            tune = text.interval(run["tune_bits_per_byte"])
            behind = "best" if minus["value"] == 0.0 else text.interval(minus)
        rows.append((f"{rate:g}", tune, behind, marks))
    text.table(rows, ("learning rate", "tune [95 % bounds]", "minus the best", ""))
    text.line()
    text.line(answer["sentence"])
    text.line(
        f"One seed, {counted(answer['steps'], 'step')} a rate: the luck of the initial weights"
        f" is not in the"
        " bounds."
    )
    if answer["recommended"] not in (None, answer["configured"]):
        text.line()
        text.line(f"  lmcore run --set {answer['set']}")
