"""What a training has come to: at its beginning, at any step, as a resume point and back.

In: a model that has learnt nothing, or a resume point.  Out: model, optimizer, carried state, best
weights, progress and log, which are all that the next step depends on.  Many processes hold theirs
side by side (`World`), each with lanes of its own and, where weights are in parts, its part; a
point has the whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from lmcore.model.language_model import LanguageModel, learnt, restore
from lmcore.model.state import State
from lmcore.training.distributed import World
from lmcore.training.objective import Objective
from lmcore.training.optimizer import load_optimizer_tensors, optimized, optimizer_tensors
from lmcore.training.plan import Plan
from lmcore.training.progress import Progress
from lmcore.training.resume import ResumePoint


class TrainingState:
    """Where one process stands.

    Args:
        plan: How many lanes, where, and the decay of weights.
        new_model: Makes the untrained model, always the same.
        objective: Loss and optimizer.
        world: The ranks.

    Attributes:
        model: In training mode.
        losses: Of the model, averaged over the ranks.
        optimizer: Of its weights.
        carried: State before the next step; None: the fresh one.
        best: Weights of the best look at the tune split; empty before the first.
        progress: All else that is not a tensor.
        log: JSON lines.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        new_model: Callable[[], nn.Module],
        objective: Objective,
        world: World,
    ) -> None:
        self._lanes, self._device = plan.batch_size, plan.device
        self._weight_decay = plan.weight_decay
        self._new_model, self._objective, self._world = new_model, objective, world
        self.start_over()

    def start_over(self) -> None:
        """Go to the beginning."""
        self.model = self._new_model().train()
        self.losses = self._world.averaging(self._objective.losses(self.model))
        self._new_optimizer()
        self.carried: State | None = None
        self.best: Mapping[str, Tensor] = {}
        self.progress, self.log = Progress(), ""

    def go_to(self, point: ResumePoint) -> None:
        """Go to a resume point."""
        self._new_optimizer()
        weights = learnt(self.model)
        restore(self.model, self._world.own(point.model, like=weights))
        moments = self._world.own(point.optimizer, like=optimized(self.optimizer))
        load_optimizer_tensors(self.optimizer, dict(moments))
        rows = self._world.rows(self._lanes)
        self.carried = self._state([tensor[rows].to(self._device) for tensor in point.state])
        best = self._world.own(point.best, like=weights)
        self.best = {name: tensor.to(self._device) for name, tensor in best.items()}
        self.progress, self.log = point.progress, point.log

    def point(self) -> ResumePoint:
        """All of it; every rank asks, and rank 0 has the whole."""
        return ResumePoint(
            progress=self.progress,
            # Nothing carried: the next step starts from the fresh state.
            state=self._world.gather_lanes(self.carried.tensors() if self.carried else ()),
            model=self._world.whole(learnt(self.model)),
            best=self._world.whole(self.best),
            optimizer=self._world.whole(optimizer_tensors(self.optimizer)),
            log=self.log,
        )

    def keep_as_best(self) -> None:
        """Remember the weights of now."""
        self.best = {name: t.detach().clone() for name, t in learnt(self.model).items()}

    def note(self, record: Mapping[str, object]) -> None:
        """Add a line to the log."""
        self.log += json.dumps(record, allow_nan=False) + "\n"

    def spend(self, seconds: float) -> None:
        """Count seconds."""
        self.progress = self.progress.changed(seconds=self.progress.seconds + seconds)

    def _new_optimizer(self) -> None:
        self.optimizer = self._objective.optimizer(self.model, weight_decay=self._weight_decay)

    def _state(self, tensors: list[Tensor]) -> State | None:
        """The recurrent state with these tensors; None where there are none."""
        if not tensors:
            return None
        assert isinstance(self.model, LanguageModel)
        return self.model.fresh_state(1).replaced(tensors)
