"""The training loop: steps, looks at the tune split, resume points, recovery.

In: a plan, a model, the order of batches. Out: the trained model, the best weights,
progress and a log of JSON lines. What is done at a step depends on the step alone,
so a run that was killed anywhere ends with the same bits as one that was not; only
seconds differ, and nothing depends on them.

Many processes run this loop side by side, each with lanes of its own (`World`). All of them
go the same way; rank 0 alone reads the clock, writes points and tells what happens.

If the loss is not finite or explodes, the loop goes back once to a resume point from
before the trouble and continues at half the learning rate; a second time is an error.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lmcore.counted import named
from lmcore.data.tokens.batches import Batch
from lmcore.errors import TrainingError
from lmcore.model.language_model import learnt
from lmcore.training.checkpoint import write_plan
from lmcore.training.config import TrainingConfig
from lmcore.training.distributed import ALONE, World
from lmcore.training.events import EventKind, Listener, TrainingEvent, TrainingInterrupted
from lmcore.training.leaving import PATIENCE_SECONDS, LeftError, leaving
from lmcore.training.objective import Objective
from lmcore.training.optimizer import learning_rate
from lmcore.training.pace import is_due, revised
from lmcore.training.plan import Plan
from lmcore.training.progress import Progress
from lmcore.training.resume import ResumePoint, ResumeStore
from lmcore.training.state import TrainingState
from lmcore.training.step import StepResult, backward_step, dropout_rng

# Folder of the resume points inside that of the run.
POINTS_FOLDER = "points"
# Between two step events.
_EVENT_SECONDS = 0.3
# Steps between the cause (a bad update) and the moment that the loss shows it.
_HORIZON_STEPS = 10
# Of all steps: a plan is revised often by little.
_WORTH_TELLING = 0.1


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Result of the loop.

    Attributes:
        model: The model after the last step.
        plan: As it was in the end.
        best: Weights of the best look at the tune split, or the last ones without looks; on rank 0.
        final: Those after the last step; on rank 0.
        progress: Where the run ended.
        log: JSON lines.
    """

    model: nn.Module
    plan: Plan
    best: Mapping[str, Tensor]
    final: Mapping[str, Tensor]
    progress: Progress
    log: str


class TrainingLoop:
    """One run.

    Args:
        plan: What to do.
        training: Clip, decay, patience.
        new_model: Makes the untrained model, always the same.
        objective: Batches, loss, and what a look at the tune split measures.
        folder: Holds the resume points, and the plan when it is revised.
        on_event: Is told what happens.
        should_stop: Asked before each step, each batch of a look and each layer of a slow step;
            true saves and raises `TrainingInterrupted`.
        world: The ranks; the last two are rank 0's.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        training: TrainingConfig,
        new_model: Callable[[], nn.Module],
        objective: Objective,
        folder: Path,
        on_event: Listener | None = None,
        should_stop: Callable[[], bool] | None = None,
        world: World = ALONE,
    ) -> None:
        started = time.perf_counter()
        self.world = world
        self.plan, self.training, self.objective, self.folder = plan, training, objective, folder
        self._on_event = on_event or (lambda _: None)
        self._should_stop = should_stop or (lambda: False)
        self._store = ResumeStore(folder / POINTS_FOLDER, on_damage=self._warn)
        self._last_event = -math.inf
        self._told = plan.steps
        self._threads = plan.threads
        self.now = TrainingState(plan=plan, new_model=new_model, objective=objective, world=world)
        self.now.spend(time.perf_counter() - started)

    def run(self) -> Trained:
        """Train to the end of the plan, from the newest resume point if there is one.

        Raises:
            TrainingInterrupted: If asked to stop.
            TrainingError: If the loss diverges twice.
        """
        if point := self._load():
            self.now.go_to(point)
            self._tell("resume", f"goes on after step {point.progress.step}")
        now = self.now
        while True:
            if self._stops():
                self._save()
                raise TrainingInterrupted(now.progress.step, self.plan.steps, self.folder)
            if self._owes_a_look():
                self._look()
            elif self._is_due() and not now.progress.stopped_early:
                self._revise()
            elif now.progress.step < self.plan.steps and not now.progress.stopped_early:
                with suppress(LeftError):
                    self._advance()
            else:
                break
        self._save()
        final = learnt(now.model)
        best = self.world.whole(now.best or final)
        self._tell("done", f"trained {now.progress.step} {named(now.progress.step, 'step')}")
        return Trained(
            model=now.model,
            plan=self.plan,
            best=best,
            final=self.world.whole(final),
            progress=now.progress,
            log=now.log,
        )

    def _advance(self) -> None:
        """One step; a look that falls due after it is owed."""
        plan, now = self.plan, self.now
        started = time.perf_counter()
        step = now.progress.step
        self._take_threads(step + 1)
        position, scheduled = plan.position(step), plan.scheduled_steps
        rate = learning_rate(
            position,
            steps=scheduled,
            warmup_steps=plan.warmup_steps,
            peak=plan.learning_rate,
            decay_steps=plan.decay_steps,
        ) / (1 << now.progress.recoveries)
        batch = self.world.share(self.objective.batch(step, share=position / scheduled))
        self.objective.set_rates(now.model, now.optimizer, rate=rate, share=position / scheduled)
        with ExitStack() as inside:
            if self.world.size == 1 and plan.step_seconds > PATIENCE_SECONDS:
                inside.enter_context(leaving(now.model, self._should_stop))
            result = backward_step(
                now.losses,
                batch,
                now.carried,
                precision=plan.precision,
                gradient_clip=self.training.gradient_clip,
                rng=dropout_rng(
                    seed=plan.seed,
                    step=step,
                    device=plan.device,
                    num_lanes=plan.batch_size,
                    world=self.world,
                )
                if plan.dropout
                else None,
                world=self.world,
            )
        if now.progress.diverged(
            result.loss_nats,
            grad_norm=result.grad_norm,
            vocab_size=self.objective.num_outcomes,
        ):
            self._recover(step, result)
            return
        now.optimizer.step()
        now.carried = result.state if self.objective.carries_state else None
        elapsed = time.perf_counter() - started
        now.progress = now.progress.after_step(result.loss_nats, seconds=elapsed)
        for revision in plan.revisions:
            # When its first step is done: a replay, which decides nothing, has the same log.
            if revision.after != step:
                continue
            if revision.steps != revision.before:
                now.note({"kind": "revision", "step": step, "steps": revision.steps})
            if revision.threads is not None:
                now.note({"kind": "revision", "step": step, "threads": revision.threads})
        if now.progress.step % plan.log_every == 0 or now.progress.step == plan.steps:
            self._log_step(result, rate)
        now.spend(time.perf_counter() - started - elapsed)
        if now.progress.step % plan.checkpoint_every == 0 and now.progress.step < plan.steps:
            self._save()

    def _is_due(self) -> bool:
        """Whether rank 0's clock is to be asked how far the budget reaches."""
        if self.plan.budget_seconds is None:
            return False
        return bool(self.world.agree(is_due(self.plan, self.now.progress)))

    def _take_threads(self, step: int) -> None:
        """Compute with the threads of a step; the caller of the loop puts its own back."""
        threads = self.plan.threads_of(step)
        if threads != self._threads:
            torch.set_num_threads(threads)
            self._threads = threads

    def _revise(self) -> None:
        """Have the plan say how many steps the budget has room for now."""
        before = self.plan
        plan = revised(before, self.now.progress)
        # Rank 0's clock counts for all.
        steps = int(self.world.agree(plan.steps))
        revision = plan.revisions[-1].model_copy(update={"steps": steps})
        revisions = (*before.revisions, revision)
        self.plan = plan.model_copy(update={"steps": steps, "revisions": revisions})
        if self.world.leads:
            write_plan(self.folder, self.plan)
        if revision.threads is not None:
            self._tell(
                "revision",
                "threads wait for each other on busy cores: one goes on alone"
                if revision.threads == 1
                else f"{revision.threads} threads are tried again",
            )
        if abs(steps - self._told) < _WORTH_TELLING * self._told:
            return
        told, self._told = self._told, steps
        became = "slower" if steps < told else "faster again"
        self._tell(
            "revision",
            f"the machine became {became}: {steps} {named(steps, 'step')} instead of {told}, to"
            f" end within {before.budget_seconds:g} s",
        )

    def _recover(self, step: int, result: StepResult) -> None:
        now = self.now
        what = f"the loss diverged at step {step + 1} (loss {result.loss_nats:.4g} nats, gradient"
        what += f" norm {result.grad_norm:.4g})"
        if now.progress.recoveries:
            raise TrainingError(
                f"{what} again at half the learning rate; lower training.learning_rate"
                f" (now {self.plan.learning_rate:g}) or training.gradient_clip"
            )
        seconds = now.progress.seconds
        if point := self._load(up_to=step - _HORIZON_STEPS):
            now.go_to(point)
        else:
            now.start_over()
        now.progress = now.progress.changed(recoveries=1, seconds=seconds)
        back = now.progress.step
        now.note({"kind": "recovery", "step": back, "diverged_at": step + 1})
        self._tell(
            "recovery",
            f"{what}; going on from step {back} at half the learning rate",
            {"diverged_at": step + 1},
        )

    def _stops(self) -> bool:
        """Whether all ranks are asked to stop."""
        return bool(self.world.agree(self._should_stop()))

    def _owes_a_look(self) -> bool:
        """Whether the tune split is to be looked at now; one that was left is owed again."""
        progress = self.now.progress
        return progress.looked_step < progress.step and self.plan.evaluates_after(progress.step)

    def _look(self) -> None:
        """Look at the tune split, unless asked to stop meanwhile."""
        started = time.perf_counter()
        self._take_threads(self.now.progress.step)

        def asked(batches: Iterable[Batch]) -> Iterator[Batch]:
            for batch in batches:
                if self._stops():
                    raise LeftError
                yield batch

        try:
            look = asked(self.objective.look(self.plan))
            value = self.objective.measure(self.now.model, look, world=self.world.looking)
        except LeftError:
            return
        self._note_look(self.world.agree(value))
        self.now.spend(time.perf_counter() - started)

    def _note_look(self, value: float) -> None:
        now, key = self.now, self.objective.look_key
        step = now.progress.step
        now.progress = now.progress.after_look(value, patience=self.training.patience)
        if step == self.plan.steps:
            now.progress = now.progress.changed(stopped_early=False)
        best = now.progress.best_step == step
        if best:
            now.keep_as_best()
        recorded = now.progress.last_bits_per_byte
        now.note({"kind": "evaluation", "step": step, key: recorded})
        what = key.removeprefix("tune_").replace("_", " ")
        self._tell(
            "evaluation",
            f"tune {value:.4f} {what}" + (" (best so far)" if best else ""),
            {key: value},
        )

    def _log_step(self, result: StepResult, rate: float) -> None:
        progress = self.now.progress
        values = {
            "tokens": progress.step * self.plan.tokens_per_step,
            "loss_nats": progress.interval_nats / progress.interval_steps,
            "learning_rate": rate,
            "grad_norm": result.grad_norm,
        }
        self.now.progress = progress.changed(interval_nats=0.0, interval_steps=0)
        seconds = round(progress.seconds, 3)
        self.now.note({"kind": "step", "step": progress.step, **values, "seconds": seconds})
        now = time.perf_counter()
        if now - self._last_event >= _EVENT_SECONDS or progress.step == self.plan.steps:
            self._last_event = now
            speed = values["tokens"] / max(progress.step_seconds, 1e-9)
            self._tell(
                "step",
                f"loss {values['loss_nats']:.3f} nats",
                {**values, "seconds": progress.seconds, "tokens_per_second": speed},
            )

    def _save(self) -> None:
        started = time.perf_counter()
        point = self.now.point()
        if self.world.leads:
            self._store.save(point)
        elapsed = time.perf_counter() - started
        self.now.spend(elapsed)
        self._tell("checkpoint", "saved a resume point", {"seconds": elapsed})

    def _load(self, *, up_to: int | None = None) -> ResumePoint | None:
        """The point that rank 0 finds, on every rank."""
        point = self._store.load(up_to=up_to) if self.world.leads else None
        step = int(self.world.agree(-1 if point is None else point.progress.step))
        return point if self.world.leads or step < 0 else self._store.read(step)

    def _tell(
        self, kind: EventKind, message: str, values: Mapping[str, float] | None = None
    ) -> None:
        self._on_event(
            TrainingEvent(
                kind=kind,
                step=self.now.progress.step,
                steps=self.plan.steps,
                values=values or {},
                message=message,
            )
        )

    def _warn(self, message: str) -> None:
        self._on_event(
            TrainingEvent(kind="recovery", step=0, steps=self.plan.steps, message=message)
        )
