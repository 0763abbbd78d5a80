"""What a run will do, decided once and recorded: everything else is a function of the step.

A wall-clock budget is turned into a number of steps by a timed probe. The plan is
written before the first step, so a run that is killed, resumed or replayed elsewhere does
exactly the same steps, whatever the clock says then.

A machine that becomes slower would break the promise of a budget, so the plan is revised at a few
points of its schedule (`lmcore.training.pace`). A revision is recorded before the first step that
follows it, once for each point, so it is followed like all else.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from lmcore.data.tokens.layout import Layout
from lmcore.settings import Section
from lmcore.training.config import Precision, TrainingConfig

# Forward only in float32 is about a third of a training step, so this is 5 % of the time.
_EVALUATION_SHARE = 0.15
_MIN_EVALUATION_STEPS = 4
# Of a budget, for all looks together, where it is so short that the least of them are much.
_MOST_EVALUATION_SHARE = 0.25
_LOG_LINES = 400
# Locked dropout by the epochs that will be seen: text repeated up to four times is worth almost
# as much as fresh text (Muennighoff et al. 2023, arXiv:2305.16264); beyond, regularise.
_DROPOUT_BY_EPOCHS = ((1.0, 0.0), (8.0, 0.05), (16.0, 0.15))
_MOST_DROPOUT = 0.3
# By the same: how far decay alone would shrink a weight over the run, as a power of 1/e. It, and
# not the coefficient, is what stays good when the steps or the rate change (Wang and Aitchison
# 2024, arXiv:2405.13698); docs/experiments.md has the measurements.
_SHRINKAGE_BY_EPOCHS = ((1.0, 1.0), (4.0, 2.0))
_MOST_SHRINKAGE = 4.0
# Of a training that goes on from finished weights: the way to zero at the end of a trapezoid.
_DECAY_SHARE = 0.5
_MOST_WEIGHT_DECAY = 1.0


class Revision(Section):
    """Another number of steps, from a point of the run on.

    Attributes:
        after: Steps done when it was decided.
        before: Steps planned until then.
        steps: Steps planned from then on; the same where the clock asked for no change.
        seconds: Of the budget that were spent by then.
        step_seconds: The part of them spent in training steps.
        threads: Of each step from then on, where that changed; null: as before.
    """

    after: int = Field(ge=0)
    before: int = Field(ge=1)
    steps: int = Field(ge=1)
    seconds: float
    step_seconds: float
    threads: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _ahead(self) -> Self:
        if self.after >= min(self.before, self.steps):
            raise ValueError(
                f"after={self.after}, expected fewer than before={self.before} and"
                f" steps={self.steps}"
            )
        return self


class Plan(Section):
    """A run, resolved.

    The schedule (learning rate, looks) is that of the steps as first planned. A run with revisions
    goes through the rest of it at another speed: `position` says where it is.
    """

    schema_version: int = 1
    seed: int
    steps: int = Field(ge=1)
    batch_size: int = Field(description="Lanes, at most as configured.")
    sequence_length: int
    tokens_per_step: int
    epochs: float = Field(description="Times the train split is read.")
    learning_rate: float
    warmup_steps: int
    decay_steps: int | None = Field(
        None, description="Steps of the way to zero; null: all after the warm-up."
    )
    weight_decay: float = Field(0.01, description="Older plans had the configured default.")
    dropout: float
    precision: Precision
    device: str
    threads: int = Field(description="Of each process, until a revision.")
    processes: int = Field(1, description="Share the lanes.")
    evaluations: int
    evaluation_tokens: int = Field(description="Tune tokens of one look; 0: there is no text.")
    checkpoint_every: int = Field(description="Steps between resume points.")
    log_every: int = Field(description="Steps between lines of the log.")
    tokens_per_second: float = Field(description="Measured by the probe.")
    alone_step_seconds: float | None = Field(
        None,
        description="Of a step with one thread, as the probe found it; null: it was not tried.",
    )
    budget_seconds: float | None = Field(None, description="Promised; null: nothing is.")
    planning_seconds: float = Field(0.0, description="Of the budget, spent on the plan.")
    revisions: tuple[Revision, ...] = Field((), description="In the order of their steps.")

    @model_validator(mode="after")
    def _revised(self) -> Self:
        steps, after = self.scheduled_steps, 0
        for revision in self.revisions:
            if revision.before != steps or revision.after < after:
                raise ValueError(f"a revision after step {revision.after} does not follow")
            steps, after = revision.steps, revision.after
        if steps != self.steps:
            raise ValueError(f"steps={self.steps}, expected {steps} of the last revision")
        return self

    @property
    def scheduled_steps(self) -> int:
        """Steps as first planned, which the schedule is for."""
        return self.revisions[0].before if self.revisions else self.steps

    @property
    def step_seconds(self) -> float:
        """Of one step, as the probe found it."""
        return self.tokens_per_step / self.tokens_per_second

    def position(self, step: int) -> float:
        """Where in the schedule the run is when so many steps are done, in its steps."""
        if step >= self.steps:
            return float(self.scheduled_steps)
        position = float(step)
        for revision in reversed(self.revisions):
            if position > revision.after:
                left = (revision.before - revision.after) / (revision.steps - revision.after)
                position = revision.after + (position - revision.after) * left
        return position

    def threads_of(self, step: int) -> int:
        """Threads of a step, counted from one, and of a look after it."""
        changed = [r.threads for r in self.revisions if r.threads is not None and r.after < step]
        return changed[-1] if changed else self.threads

    def evaluates_after(self, step: int) -> bool:
        """Whether the tune split is looked at when so many steps are done."""
        steps = self.scheduled_steps
        marks = {-(-steps * i // self.evaluations) for i in range(1, self.evaluations + 1)}
        before, now = self.position(step - 1), self.position(step)
        return self.evaluation_tokens > 0 and any(before < mark <= now for mark in marks)


class Machine(Section):
    """What computes the steps, and how fast, as the probe found it.

    Attributes:
        precision: The configured one, or the faster one that works.
        device: `cpu` or `cuda`.
        threads: Threads of a CPU step, in each process; part of the plan, as sums depend on it.
        processes: Share the lanes; part of the plan for the same reason.
        step: Seconds of one training step of average size.
        alone_step: Seconds of one with a single thread; None: not tried, or it is that.
        evaluation_step: Seconds of one step of looking at the tune split.
        save: Seconds of writing one resume point.
        elapsed: Seconds that planning took, loading and the probe itself included.
    """

    precision: Precision
    device: str
    threads: int
    processes: int = 1
    step: float
    alone_step: float | None = None
    evaluation_step: float
    save: float
    elapsed: float = 0.0


def make_plan(
    training: TrainingConfig,
    *,
    layout: Layout,
    tune_tokens: int,
    dropout: float | None,
    machine: Machine,
) -> Plan:
    """Resolve a configuration into a plan.

    Args:
        training: The configuration.
        layout: How the train split is cut.
        tune_tokens: Length of the tune split, 0 if there is none.
        dropout: Configured dropout; None chooses by the epochs that will be seen.
        machine: What computes the steps, and how fast.
    """
    evaluations = training.evaluations
    if training.max_steps is not None:
        steps = training.max_steps
    elif training.max_epochs is not None:
        steps = max(1, round(training.max_epochs * layout.steps_per_epoch))
    else:
        steps, evaluations = _within_budget(
            training, layout=layout, tune_tokens=tune_tokens, machine=machine
        )
    epochs = steps * layout.tokens_per_step / layout.stream_tokens
    if dropout is None:
        dropout = next((rate for up_to, rate in _DROPOUT_BY_EPOCHS if epochs < up_to), None)
    decay_steps = None
    if training.start == "champion":
        decay_steps = max(1, round(_DECAY_SHARE * steps))
    return Plan(
        seed=training.seed,
        steps=steps,
        batch_size=layout.batch_size,
        sequence_length=layout.sequence_length,
        tokens_per_step=layout.tokens_per_step,
        epochs=epochs,
        learning_rate=training.learning_rate,
        warmup_steps=min(training.warmup_steps, steps // 10),
        decay_steps=decay_steps,
        weight_decay=(
            weight_decay(steps, epochs=epochs, peak=training.learning_rate, decay_steps=decay_steps)
            if training.weight_decay is None
            else training.weight_decay
        ),
        dropout=_MOST_DROPOUT if dropout is None else dropout,
        precision=machine.precision,
        device=machine.device,
        threads=machine.threads,
        processes=machine.processes,
        evaluations=min(evaluations, steps),
        evaluation_tokens=_evaluation_tokens(
            steps, layout=layout, tune_tokens=tune_tokens, evaluations=evaluations
        ),
        checkpoint_every=max(1, min(steps, round(training.checkpoint_seconds / machine.step))),
        log_every=-(-steps // _LOG_LINES),
        tokens_per_second=layout.tokens_per_step / machine.step,
        alone_step_seconds=machine.alone_step,
        budget_seconds=training.budget_seconds,
        planning_seconds=machine.elapsed,
    )


def weight_decay(
    steps: int, *, epochs: float, peak: float, decay_steps: int | None = None
) -> float:
    """Coefficient of the decay for a run that is linear to zero, or a trapezoid.

    Args:
        steps: Steps planned.
        epochs: Times the train split is read.
        peak: Largest learning rate.
        decay_steps: Of a trapezoid; None: linear to zero.
    """
    shrinkage = next(
        (value for up_to, value in _SHRINKAGE_BY_EPOCHS if epochs < up_to), _MOST_SHRINKAGE
    )
    # The rates of all steps sum to about half of what the peak would; a trapezoid's to more.
    at_peak = steps - (steps if decay_steps is None else decay_steps) / 2
    return min(_MOST_WEIGHT_DECAY, shrinkage / (peak * at_peak))


def _evaluation_tokens(steps: int, *, layout: Layout, tune_tokens: int, evaluations: int) -> int:
    share = int(_EVALUATION_SHARE * steps * layout.tokens_per_step / evaluations)
    return min(tune_tokens, max(share, _MIN_EVALUATION_STEPS * layout.tokens_per_step))


def _within_budget(
    training: TrainingConfig, *, layout: Layout, tune_tokens: int, machine: Machine
) -> tuple[int, int]:
    """Steps and looks at the tune split; fewer looks than configured where they would take most."""
    assert training.budget_seconds is not None
    # One save more for the results at the end.
    remaining = training.budget_seconds - machine.elapsed - machine.save
    saves = max(0.0, remaining) / training.checkpoint_seconds * machine.save
    least = min(tune_tokens, _MIN_EVALUATION_STEPS * layout.tokens_per_step)
    shortest = least / layout.tokens_per_step * machine.evaluation_step
    evaluations = training.evaluations
    if evaluations * shortest > _MOST_EVALUATION_SHARE * remaining:
        evaluations = max(1, int(_MOST_EVALUATION_SHARE * remaining / shortest))
    steps = max(1, int((remaining - saves) / machine.step))
    for _ in range(2):  # the looks take from the steps, and their length depends on them
        tokens = _evaluation_tokens(
            steps, layout=layout, tune_tokens=tune_tokens, evaluations=evaluations
        )
        looks = evaluations * tokens / layout.tokens_per_step * machine.evaluation_step
        steps = max(1, int((remaining - saves - looks) / machine.step))
    return steps, evaluations
