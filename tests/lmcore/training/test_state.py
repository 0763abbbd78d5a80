"""A training goes to a point and back without losing a bit."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from lmcore.training.loop import TrainingLoop
from lmcore.training.progress import Progress
from lmcore.training.resume import ResumePoint
from lmcore.training.state import TrainingState


@pytest.fixture
def trained(bench: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[TrainingState, ResumePoint]:
    """Where a training ended, and a copy of its point after five steps."""
    found: list[tuple[TrainingState, ResumePoint]] = []
    advance = TrainingLoop._advance

    def watched(loop: TrainingLoop) -> None:
        advance(loop)
        if loop.now.progress.step == 5:
            found.append((loop.now, copied(loop.now.point())))

    monkeypatch.setattr(TrainingLoop, "_advance", watched)
    bench.train(max_steps=12)
    return found[0]


def copied(point: ResumePoint) -> ResumePoint:
    """With tensors of its own."""

    def own(tensors: Any) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in tensors.items()}

    return ResumePoint(
        progress=point.progress,
        model=own(point.model),
        optimizer=own(point.optimizer),
        state=tuple(tensor.clone() for tensor in point.state),
        best=own(point.best),
        log=point.log,
    )


def assert_same(one: ResumePoint, other: ResumePoint) -> None:
    assert (one.progress, one.log) == (other.progress, other.log)
    first, second = one.flat(), other.flat()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_point_is_gone_back_to_whatever_happened_since(
    trained: tuple[TrainingState, ResumePoint],
) -> None:
    state, point = trained
    later = copied(state.point())
    assert later.progress.step == 12
    assert any(not torch.equal(later.model[name], point.model[name]) for name in point.model)
    assert point.state
    state.go_to(point)
    assert_same(state.point(), point)
    state.go_to(later)
    assert_same(state.point(), later)


def test_the_beginning_is_the_same_each_time(trained: tuple[TrainingState, ResumePoint]) -> None:
    state, point = trained
    state.start_over()
    first = copied(state.point())
    assert (first.progress, first.state, first.best, first.log) == (Progress(), (), {}, "")
    assert not first.optimizer
    state.go_to(point)
    state.start_over()
    assert_same(state.point(), first)


def test_what_is_kept_as_best_does_not_learn_on(trained: tuple[TrainingState, ResumePoint]) -> None:
    state, point = trained
    state.keep_as_best()
    before = copied(state.point()).best
    state.go_to(ResumePoint(**{**vars(point), "best": before}))
    assert all(torch.equal(state.best[name], tensor) for name, tensor in before.items())
    assert any(not torch.equal(point.model[name], tensor) for name, tensor in before.items())


def test_lines_and_seconds_are_counted(trained: tuple[TrainingState, ResumePoint]) -> None:
    state, _ = trained
    lines, seconds = state.log.count("\n"), state.progress.seconds
    state.note({"kind": "step", "loss_nats": 1.5})
    state.spend(2.5)
    assert json.loads(state.log.splitlines()[-1]) == {"kind": "step", "loss_nats": 1.5}
    assert state.log.count("\n") == lines + 1
    assert state.progress.seconds == seconds + 2.5
    with pytest.raises(ValueError, match="JSON compliant"):
        state.note({"loss_nats": float("nan")})
