"""Resume points that homes share: another machine goes on where a killed training stopped.

In: the folder of a training, with its plan and its newest resume points.  Out: the same under
`work/KEY` of the shared store, replaced as a whole, so that plan and points always belong together.

Publishing takes at most a tenth of the time, whatever a resume point weighs, and a store that is
away stops no training.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from lmcore.errors import LmcoreError
from lmcore.shared_store import SharedStore
from lmcore.training.checkpoint import PLAN_FILE
from lmcore.training.events import Listener, TrainingEvent

logger = logging.getLogger(__name__)

_POINT = re.compile(r"points/step-(\d+)/[^/.][^/]*")
_SHARE_OF_TIME = 0.1


class SharedResumePoints:
    """What `lmcore.training.attempt.Attempt` asks for.

    Args:
        store: Where homes share folders.
    """

    def __init__(self, store: SharedStore) -> None:
        self._store = store
        self._not_before = 0.0

    def fetch(self, folder: Path) -> None:
        """Bring what others saved here, where it is further than what is here.

        Args:
            folder: Of the training; its name is the training's key.

        Raises:
            SharedStoreError: If the store cannot be reached: a training that others have done in
                part is not begun anew for that.
        """
        names = self._store.holds(_place(folder))
        step = _newest(names or ())
        if step <= _newest(path.relative_to(folder).as_posix() for path in folder.rglob("*")):
            return
        brought = folder.with_name(f".{folder.name}.fetched")
        shutil.rmtree(brought, ignore_errors=True)
        try:
            if self._store.fetch(_place(folder), brought):
                shutil.rmtree(folder, ignore_errors=True)
                os.replace(brought, folder)
                logger.info("training goes on from step %d, which another home saved", step)
        finally:
            shutil.rmtree(brought, ignore_errors=True)

    def attend(self, folder: Path, on_event: Listener | None) -> Listener:
        """A listener that publishes what was saved, and tells the other one too."""

        def told(event: TrainingEvent) -> None:
            if on_event is not None:
                on_event(event)
            if event.kind == "checkpoint" and time.monotonic() >= self._not_before:
                self._publish(folder)

        return told

    def stopped(self, folder: Path) -> None:
        """Publish the last point of a training that ends before it is done."""
        self._publish(folder)

    def forget(self, folder: Path) -> None:
        """A training is done, and its result published: nobody goes on from its points."""
        self._store.remove(_place(folder))

    def _publish(self, folder: Path) -> None:
        started = time.monotonic()
        try:
            self._store.publish(_place(folder), folder, again=True, only=_is_shared)
        except (LmcoreError, OSError) as error:
            logger.warning("no other home can go on with this training yet: %s", error)
        seconds = time.monotonic() - started
        self._not_before = time.monotonic() + seconds * (1 / _SHARE_OF_TIME - 1)


def _place(folder: Path) -> str:
    return f"work/{folder.name}"


def _is_shared(name: str) -> bool:
    return name == PLAN_FILE or _POINT.fullmatch(name) is not None


def _newest(names: Iterable[str]) -> int:
    """The step of the newest point among names of files; -1 where there is none."""
    found = (_POINT.fullmatch(name) for name in names)
    return max((int(match[1]) for match in found if match), default=-1)
