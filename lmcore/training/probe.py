"""How fast is this machine, and in which precision: measured on a throw-away model.

The probe does real steps on real batches with a model and an optimizer of its own,
so the run's weights, its optimizer and the random state of the process never see it.
The number of threads is probed only for a budget in seconds: there the step count depends
on the machine anyway, elsewhere two runs on one machine should give the same bits.
bfloat16 is used where it works and is clearly faster: some CPUs emulate it, and some
builds refuse it for an LSTM.
Many processes take the steps together, since that is what will take the time; rank 0's clock
counts for all of them.
"""

from __future__ import annotations

import itertools
import logging
import math
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import nn

from lmcore.model.language_model import learnt
from lmcore.model.state import State
from lmcore.training.config import Precision, TrainingConfig
from lmcore.training.distributed import ALONE, World
from lmcore.training.leaving import LeftError, leaving
from lmcore.training.objective import Objective
from lmcore.training.optimizer import optimizer_tensors
from lmcore.training.plan import Machine
from lmcore.training.progress import Progress
from lmcore.training.resume import ResumePoint, ResumeStore
from lmcore.training.step import StepResult, backward_step, dropout_rng

logger = logging.getLogger(__name__)

# The beginning of a run: whatever is trained only later takes time here as well.
_SHARE = 0.0
_WARMUP_STEPS = 2
_MIN_STEPS = 3
# Of a budget.
_MOST_SHARE = 0.1
# Steps of the shortest look at a choice on a machine in trouble.
_FEWEST = 2
# Of a step, where there is no time to see: two thirds of one are its gradient.
_FORWARD_SHARE = 1 / 3
# Batches of a task differ in length: so many tell how long one is on average.
_AHEAD = 32
# bfloat16 costs digits, so it has to pay.
_WORTH_IT = 0.9


def probe(
    make_model: Callable[[], nn.Module],
    *,
    objective: Objective,
    num_lanes: int,
    training: TrainingConfig,
    folder: Path,
    seconds: float,
    should_stop: Callable[[], bool] = lambda: False,
    world: World = ALONE,
) -> Machine:
    """Time training steps, forward passes and a save; each as a median of seconds.

    Args:
        make_model: Makes a model to be thrown away.
        objective: Real batches and their loss.
        num_lanes: Of a batch.
        training: Precision (or `auto`), clip and decay; of a budget at most a tenth is taken where
            that can be: what would take longer is not tried, and the first choice stands.
        folder: Where a resume point is written and removed again.
        seconds: About how long the training steps may be timed.
        should_stop: Rank 0's; asked before each step, and before each layer where there is one
            rank.
        world: The ranks; each calls this and gets the same answer.

    Raises:
        LeftError: If asked to stop.
    """
    began = time.perf_counter()
    most = math.inf if training.budget_seconds is None else _MOST_SHARE * training.budget_seconds
    model = make_model()

    def fits(again: float) -> bool:
        """Whether there is time for something of so many seconds."""
        return bool(world.agree(time.perf_counter() - began + again < most))

    def stops() -> None:
        if world.agree(should_stop()):
            raise LeftError

    def timed(precision: Precision, share: float) -> float:
        return _time_steps(
            model,
            objective=objective,
            num_lanes=num_lanes,
            training=training,
            precision=precision,
            seconds=share * seconds,
            stops=stops,
            world=world,
        )

    threads = torch.get_num_threads()
    with ExitStack() as inside:
        inside.callback(torch.set_num_threads, threads)
        if world.size == 1:
            inside.enter_context(leaving(model, should_stop))
        # Threads that share busy cores wait for each other: one alone is at most as many times
        # slower, and may be several times faster, so it is asked first.
        both = training.budget_seconds is not None and threads > 1
        if both:
            torch.set_num_threads(1)
        precision, step = _choose_precision(training, timed, fits)
        alone = None
        if both and fits(_FEWEST * step):
            torch.set_num_threads(threads)
            together = timed(precision, 0.2)
            if step <= _WORTH_IT * together:
                torch.set_num_threads(1)
            else:
                alone, step = step, together
        if fits(_FEWEST * step):
            step = timed(precision, 0.4)
        return Machine(
            precision=precision,
            device=next(model.parameters()).device.type,
            processes=world.size,
            threads=torch.get_num_threads(),
            step=step,
            # Ranks share a machine as a whole; none can leave the others' pace.
            alone_step=alone if world.size == 1 else None,
            evaluation_step=(
                _time_forward(model, objective=objective, stops=stops, world=world)
                if fits(step)
                else _FORWARD_SHARE * step
            ),
            save=_time_save(
                model,
                objective=objective,
                num_lanes=num_lanes,
                training=training,
                folder=folder,
                world=world,
            ),
        )


def _choose_precision(
    training: TrainingConfig,
    timed: Callable[[Precision, float], float],
    fits: Callable[[float], bool],
) -> tuple[Precision, float]:
    """The configured precision, or the faster one that works, and seconds of a step in it."""
    if training.precision != "auto":
        return training.precision, timed(training.precision, 0.2)
    exact = timed("float32", 0.2)
    if not fits(_FEWEST * exact):
        return "float32", exact
    try:
        mixed = timed("bfloat16", 0.2)
    except RuntimeError as error:
        logger.info("bfloat16 does not work here (%s)", error)
        return "float32", exact
    return ("bfloat16", mixed) if mixed < _WORTH_IT * exact else ("float32", exact)


def _time_steps(
    model: nn.Module,
    *,
    objective: Objective,
    num_lanes: int,
    training: TrainingConfig,
    precision: Precision,
    seconds: float,
    stops: Callable[[], None],
    world: World,
) -> float:
    """Seconds of a step of average size; on a machine in trouble few steps have to do."""
    losses = world.averaging(objective.losses(model))
    optimizer = objective.optimizer(model, weight_decay=training.weight_decay or 0.0)
    state = None
    times: list[float] = []
    sizes = [objective.batch(step, share=_SHARE).inputs.size for step in range(_AHEAD)]
    for step in itertools.count():
        stops()
        start = time.perf_counter()
        result = _step(
            losses,
            objective,
            step,
            state,
            num_lanes=num_lanes,
            training=training,
            precision=precision,
            world=world,
        )
        optimizer.step()
        state = result.state if objective.carries_state else None
        times.append(world.agree(time.perf_counter() - start))
        if sum(times) >= seconds and len(times) > _WARMUP_STEPS + _MIN_STEPS:
            first = _WARMUP_STEPS
        elif sum(times) >= 4 * seconds + 1.0 and len(times) > 1:
            first = 1
        else:
            continue
        own = [objective.batch(n, share=_SHARE).inputs.size for n in range(first, len(times))]
        return typical_seconds(times[first:], own) * statistics.fmean(sizes)
    raise AssertionError


def typical_seconds(times: Sequence[float], sizes: Sequence[int]) -> float:
    """Seconds a token: a median in which a step counts as much as it has tokens.

    A longer text costs more a token, and most of a run's time goes to long ones; a single step that
    the machine was busy in changes nothing.

    Args:
        times: Seconds of each step.
        sizes: Its tokens, padding included.
    """
    rates = sorted((seconds / size, size) for seconds, size in zip(times, sizes, strict=True))
    below = 0
    for rate, size in rates:
        below += size
        if 2 * below >= sum(sizes):
            return rate
    raise AssertionError


def _step(
    losses: nn.Module,
    objective: Objective,
    step: int,
    state: State | None,
    *,
    num_lanes: int,
    training: TrainingConfig,
    precision: Precision,
    world: World,
) -> StepResult:
    return backward_step(
        losses,
        world.share(objective.batch(step, share=_SHARE)),
        state,
        precision=precision,
        gradient_clip=training.gradient_clip,
        rng=dropout_rng(
            seed=training.seed,
            step=step,
            device=next(losses.parameters()).device.type,
            num_lanes=num_lanes,
            world=world,
        ),
        world=world,
    )


def _time_forward(
    model: nn.Module, *, objective: Objective, stops: Callable[[], None], world: World
) -> float:
    times: list[float] = []
    for step in range(_MIN_STEPS):
        stops()
        start = time.perf_counter()
        objective.measure(model, [objective.batch(step, share=_SHARE)], world=world.looking)
        times.append(world.agree(time.perf_counter() - start))
    return statistics.median(times)


def _time_save(
    model: nn.Module,
    *,
    objective: Objective,
    num_lanes: int,
    training: TrainingConfig,
    folder: Path,
    world: World,
) -> float:
    losses = world.averaging(objective.losses(model))
    optimizer = objective.optimizer(model, weight_decay=training.weight_decay or 0.0)
    result = _step(
        losses,
        objective,
        0,
        None,
        num_lanes=num_lanes,
        training=training,
        precision="float32",
        world=world,
    )
    optimizer.step()
    start = time.perf_counter()
    weights = world.whole(learnt(model))
    moments = world.whole(optimizer_tensors(optimizer))
    carried = result.state if objective.carries_state else None
    state = world.gather_lanes(carried.tensors() if carried else ())
    if world.leads:
        ResumeStore(folder).save(
            ResumePoint(
                progress=Progress(),
                model=weights,
                optimizer=moments,
                state=state,
                best=weights,
            )
        )
    elapsed = world.agree(time.perf_counter() - start)
    if world.leads:
        shutil.rmtree(folder)
    return elapsed
