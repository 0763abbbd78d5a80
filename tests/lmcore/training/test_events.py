"""What training tells the outside, and how it says that it was stopped."""

from pathlib import Path

import pytest

from lmcore.errors import LmcoreError, UserError
from lmcore.training.events import TrainingEvent, TrainingInterrupted


def test_a_stop_says_how_far_it_came_and_how_to_go_on() -> None:
    stop = TrainingInterrupted(7, 20, Path("/work/abc"))
    assert (stop.step, stop.steps, stop.where) == (7, 20, Path("/work/abc"))
    assert str(stop) == (
        "training stopped on request after step 7 of 20; the state is saved in /work/abc, and the"
        " same command goes on from there"
    )


def test_a_stop_is_nobodys_mistake_and_no_defect() -> None:
    assert issubclass(TrainingInterrupted, LmcoreError)
    assert not issubclass(TrainingInterrupted, UserError)


def test_what_happened_is_not_changed_afterwards_and_events_share_no_values() -> None:
    one, other = (TrainingEvent(kind="step", step=1, steps=2) for _ in range(2))
    assert one == other
    assert one.values is not other.values
    with pytest.raises(AttributeError):
        one.step = 2  # type: ignore[misc]
