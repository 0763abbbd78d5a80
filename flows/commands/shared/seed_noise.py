"""`lmcore controls --seed-noise`: how far trainings that differ by the seed alone lie apart."""

from __future__ import annotations

import logging

from flows.commands.shared import text
from flows.commands.shared.command import Answer, Values
from flows.commands.shared.own_text import prepare_text
from flows.home.environment import current
from flows.home.locks import using_content
from flows.home.signals import (
    SAVING,
    StoppedError,
    finishing,
    polite_signals,
    stop_requested,
)
from lmcore.config import RunConfig
from lmcore.content_store import ContentStore
from lmcore.controls.seed_noise import SeedRun, bounded, measure_seed_noise
from lmcore.counted import counted
from lmcore.errors import UserError
from lmcore.training.attempt import Attempt

logger = logging.getLogger(__name__)


def seed_noise(config: RunConfig, *, seeds: int) -> Answer:
    """Measure the spread between seeds on a pipeline's own text and model.

    Raises:
        UserError: If a source is wrong, or fewer than 2 seeds are asked for.
        StoppedError: If the user stopped between two steps.
        TrainingInterrupted: If the user stopped a training; the same command goes on.
    """
    if seeds < 2:
        raise UserError(f"--seeds {seeds}: a spread needs at least 2 trainings")
    home = current()
    with polite_signals(), using_content(home.locks), finishing(SAVING):
        prepared = prepare_text(config, home)
        noise = measure_seed_noise(
            Attempt(
                store=ContentStore(home.content), work_dir=home.work, should_stop=stop_requested
            ),
            prepared.corpus,
            model=config.model,
            training=bounded(config.training),
            gates=config.gates,
            seeds=seeds,
            on_run=_say,
            base=prepared.base,
        )
    sigma = noise.sigma.value
    limits = config.gates.champion.model_copy(update={"seed_sigma_bits_per_byte": sigma})
    values = {
        "controls": [],
        "model": config.name,
        "seed_noise": noise.to_json(),
        "margin_bits_per_byte": limits.margin_bits_per_byte,
        "set": f"gates.champion.seed_sigma_bits_per_byte={sigma:.4f}",
    }
    return Answer(values=values, text=_text)


def _say(seed: int, run: SeedRun) -> None:
    logger.info("seed %s: %.4f bits/byte", seed, run.summary["bits_per_byte"])
    if stop_requested():
        raise StoppedError("stopped; finished seeds are kept, and the same command goes on")


def _text(answer: Values) -> None:
    """The spread between seeds, and the margin that follows from it."""
    noise = answer["seed_noise"]
    text.line(
        f"{noise['sigma']['n']} trainings of {answer['model']} that differ by the seed"
        f" alone ({counted(noise['steps'], 'step')}, {noise['params']:,} parameters):"
    )
    text.line(f"  standard deviation  {text.interval(noise['sigma'])}")
    text.line(f"  margin of a gain    {text.number(answer['margin_bits_per_byte'])} bits/byte")
    text.line(f"  promoted with it    {noise['promoted']} of {noise['pairs']} ordered pairs")
    text.line()
    text.line(f"  lmcore run --set {answer['set']}")
