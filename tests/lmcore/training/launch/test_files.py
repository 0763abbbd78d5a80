"""What a launched training and its parent tell each other passes unchanged."""

from lmcore.training.events import TrainingEvent
from lmcore.training.launch.files import (
    event_line,
    read_event,
)


def test_an_event_passes_unchanged() -> None:
    event = TrainingEvent(
        kind="evaluation", step=1, steps=2, values={"a": 0.1, "b": float("inf")}, message="ä\nb"
    )
    assert read_event(event_line(event)) == event
    assert event_line(event).count("\n") == 1
