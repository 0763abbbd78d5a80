"""Which learning rate? Short runs at rates a factor of two apart, compared on the tune split.

In: shards and a configuration. Out: for each rate the bits per byte that a run of about a
tenth of the budget reaches, and the rate to use. All runs have the same number of steps, the
same schedule (warm-up, then linear to zero, over the short run), the same initial weights and
the same batches; only the peak differs. Validation text is never looked at.

While the best rate is the lowest or the highest one tried, the next one in that direction is
tried too, up to a bound. A rate whose loss diverges is an answer, not an error. Each finished run
is a content folder, so the same call, or one with more rates, trains none of them again.

What is compared is the same tune text, cut into the lanes of one look. Differences are paired
by lane. Their bounds speak of other text of this kind. They do not cover the luck of the initial
weights, as there is one seed, nor the step to the full length, which likes a rate as high or lower.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lmcore.counted import counted, named
from lmcore.data.tokens.corpus import Corpus
from lmcore.data.tokens.layout import plan_layout
from lmcore.errors import SourceError
from lmcore.model.config import AnyModelConfig
from lmcore.model.pretrained.base import Base
from lmcore.training.attempt import Attempt
from lmcore.training.config import TrainingConfig
from lmcore.training.plan import weight_decay
from lmcore.training.trials.short_runs import Estimate, SweepRun, short_run

SHARE = 0.1
FACTOR = 2.0
# A run shorter than this says nothing about a rate; a budget that is itself shorter is used whole.
MIN_STEPS = 20
MIN_SECONDS = 5.0
# Rates tried beyond those asked for, while the best one is at an edge.
MORE_RATES = 4
# What `training.learning_rate` accepts.
_HIGHEST_RATE = 10.0


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """All runs of a sweep.

    Attributes:
        configured: The rate of the configuration.
        runs: By rate, lowest first.
    """

    configured: float
    runs: tuple[SweepRun, ...]

    @property
    def best(self) -> SweepRun | None:
        """The run with the fewest bits per byte; None if all diverged."""
        return _best(self.runs)

    @property
    def at_edge(self) -> bool:
        """Whether the best rate is the lowest or the highest, so that a better one may follow."""
        return self.best is not None and self.best in (self.runs[0], self.runs[-1])

    @property
    def gain(self) -> Estimate | None:
        """The best rate minus the configured one; None if either is missing.

        The best of several is better than it should be, so its bounds allow for all of them.
        """
        own = next(run for run in self.runs if run.learning_rate == self.configured)
        if self.best is None or own.diverged:
            return None
        others = sum(not run.diverged for run in self.runs) - 1
        return self.best.minus(own, comparisons=max(1, others))

    @property
    def recommended(self) -> float | None:
        """The best rate if it is certainly better than the configured one, else the latter."""
        if self.best is None:
            return None
        gain = self.gain
        certain = gain is None or (gain.upper is not None and gain.upper < 0)
        return self.best.learning_rate if certain else self.configured

    @property
    def sentence(self) -> str:
        """The recommendation and how sure it is."""
        best, gain = self.best, self.gain
        if best is None:
            return (
                f"Every rate from {self.runs[0].learning_rate:g} to"
                f" {self.runs[-1].learning_rate:g} diverged; set training.learning_rate much lower"
                " or training.gradient_clip lower, and sweep again."
            )
        name = f"{best.learning_rate:g}"
        if gain is None:
            text = f"Use {name}: the configured rate {self.configured:g} diverged."
        elif best.learning_rate == self.configured:
            text = f"Keep the configured rate {name}: no other that was tried is better."
        elif self.recommended == self.configured:
            text = (
                f"Keep the configured rate {self.configured:g}: {name} needs {-gain.value:.4f} bits"
                f" per byte less, which {counted(gain.n, 'piece')} of tune text"
                f" {named(gain.n, 'does', 'do')} not make certain."
            )
        else:
            text = (
                f"Use {name}: it needs {-gain.value:.4f} bits per byte less than the configured"
                f" rate {self.configured:g}, at least {-(gain.upper or 0.0):.4f} by a 95 % bound"
                f" over {counted(gain.n, 'piece')} of tune text that allows for"
                f" {len(self.runs)} rates."
            )
        if self.at_edge:
            text += f" {name} is at the edge of what was tried; a better one may lie beyond."
        return text


def sweep(
    attempt: Attempt,
    corpus: Corpus,
    *,
    model: AnyModelConfig,
    training: TrainingConfig,
    rates: int = 3,
    on_run: Callable[[SweepRun], None] | None = None,
    base: Base | None = None,
) -> Sweep:
    """Try learning rates around the configured one.

    Args:
        attempt: Where it is done and who attends it.
        corpus: Text with the splits train and tune.
        model: Shape of the model.
        training: The configuration whose rate is in question.
        rates: How many to try at least, 2 or more.
        on_run: Is told of each finished run, of earlier calls too.
        base: The model that a pretrained one begins with.

    Raises:
        SourceError: If there is too little train or tune text.
        ConfigError: If the device is not there.
        TrainingInterrupted: If asked to stop; the same call goes on.
    """
    if len(corpus.tune_stream) < 2:
        raise SourceError(
            "the tune split holds no text to compare learning rates on; raise data.tune_fraction"
            " or give more text"
        )
    short = shortened(training, stream_tokens=len(corpus.train_stream))
    done: dict[int, SweepRun] = {}

    def try_rate(exponent: int) -> None:
        rate = training.learning_rate * FACTOR**exponent
        replay = None
        if exponent:
            planned = done[0].plan
            changed = {"learning_rate": rate}
            if training.weight_decay is None:
                changed["weight_decay"] = weight_decay(
                    planned.steps, epochs=planned.epochs, peak=rate
                )
            replay = planned.model_copy(update=changed)
        done[exponent] = short_run(
            attempt,
            corpus,
            model=model,
            training=short.model_copy(update={"learning_rate": rate}),
            replay=replay,
            base=base,
        )
        if on_run:
            on_run(done[exponent])

    for exponent in _first_exponents(rates):
        if training.learning_rate * FACTOR**exponent <= _HIGHEST_RATE:
            try_rate(exponent)
    most = rates + MORE_RATES
    while len(done) < most and (further := _further(done)) is not None:
        if training.learning_rate * FACTOR**further > _HIGHEST_RATE:
            break
        try_rate(further)
    return Sweep(
        configured=training.learning_rate, runs=tuple(done[exponent] for exponent in sorted(done))
    )


def shortened(training: TrainingConfig, *, stream_tokens: int) -> TrainingConfig:
    """The configuration of a short run: a tenth of the budget and one look at the end.

    Args:
        training: The configuration of the full run.
        stream_tokens: Length of the train split.
    """
    values = training.model_dump()
    if training.budget_seconds is not None:
        least = min(training.budget_seconds, MIN_SECONDS)
        values["budget_seconds"] = max(SHARE * training.budget_seconds, least)
    else:
        steps = training.max_steps
        if steps is None:
            layout = plan_layout(
                stream_tokens,
                batch_size=training.batch_size,
                sequence_length=training.sequence_length,
            )
            assert training.max_epochs is not None
            steps = max(1, round(training.max_epochs * layout.steps_per_epoch))
        values["max_epochs"] = None
        values["max_steps"] = max(round(SHARE * steps), min(steps, MIN_STEPS))
    # One look: patience cannot end a run before the others.
    return TrainingConfig.model_validate({**values, "evaluations": 1})


def _first_exponents(rates: int) -> Sequence[int]:
    """Powers of the factor, the configured rate (0) first: its plan is that of the others."""
    lowest = -(rates // 2)
    return sorted(range(lowest, lowest + rates), key=abs)


def _best(runs: Sequence[SweepRun]) -> SweepRun | None:
    good = [run for run in runs if not run.diverged]
    return min(good, key=lambda run: run.bits_per_byte().value, default=None)


def _further(done: Mapping[int, SweepRun]) -> int | None:
    """The next power beyond the edge that the best run is at; None if it is inside."""
    lowest, highest = min(done), max(done)
    best = _best(list(done.values()))
    if best is None or best is done[lowest]:
        return lowest - 1
    return highest + 1 if best is done[highest] else None
