"""Where a training is done and who attends it: what every kind of training is called with."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lmcore.content_store import ContentStore
from lmcore.training.events import Listener


class SharedPoints(Protocol):
    """Resume points that another home goes on from; see `lmcore.shared_points`."""

    def fetch(self, folder: Path) -> None:
        """Bring what others saved here, where it is further than what is here."""

    def attend(self, folder: Path, on_event: Listener | None) -> Listener:
        """A listener that publishes what was saved, and tells the other one too."""

    def stopped(self, folder: Path) -> None:
        """Publish the last point of a training that ends before it is done."""

    def forget(self, folder: Path) -> None:
        """A training is done, and its result published: nobody goes on from its points."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt at a training; nothing of it but the nonce changes what is made.

    Attributes:
        store: Where the result goes.
        work_dir: Holds the resume state of what is not finished.
        nonce: Part of a checkpoint's key; another value trains again.
        on_event: Is told what happens.
        should_stop: Asked before each step.
        points: Where the resume state is shared with other homes; None: it is not.
    """

    store: ContentStore
    work_dir: Path
    nonce: int = 0
    on_event: Listener | None = None
    should_stop: Callable[[], bool] | None = None
    points: SharedPoints | None = None

    @contextlib.contextmanager
    def shared(self, folder: Path) -> Iterator[Listener | None]:
        """Go on from what another home saved, and let others go on from what is saved here.

        Args:
            folder: Plan and resume points of the training.

        Yields:
            Whom to tell what happens.
        """
        if self.points is None:
            yield self.on_event
            return
        self.points.fetch(folder)
        try:
            yield self.points.attend(folder, self.on_event)
        except BaseException:
            self.points.stopped(folder)
            raise

    def done(self, folder: Path) -> None:
        """Clear away what a training that stands could have gone on from."""
        if self.points is not None:
            self.points.forget(folder)
        shutil.rmtree(folder, ignore_errors=True)
