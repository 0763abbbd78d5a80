"""Where a training is done and who attends it: what every kind of training is called with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lmcore.artifacts import ContentStore
from lmcore.training.events import Listener


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt at a training; nothing of it but the nonce changes what is made.

    Attributes:
        store: Where the result goes.
        work_dir: Holds the resume state of what is not finished.
        nonce: Part of a checkpoint's key; another value trains again.
        on_event: Is told what happens.
        should_stop: Asked before each step.
    """

    store: ContentStore
    work_dir: Path
    nonce: int = 0
    on_event: Listener | None = None
    should_stop: Callable[[], bool] | None = None
