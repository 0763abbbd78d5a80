"""A version that answers nobody and reads along: the same requests, paired.

In: requests that were sampled, with the version that answered.  Out: one line each of what both
made of it (`lmcore.data.requests.lines.Beside`), without text.  `lmcore show` tells the result.

Only spare time is used: while others wait, or where too much is left to read, a request is passed
over, which the sample bears.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from dataclasses import replace
from pathlib import Path

from flows.registry.versions import Version
from flows.serving.desk import Desk
from flows.serving.loaded import Loaded
from flows.serving.recorder import moment
from flows.serving.refusal import RefusalError
from flows.serving.remembered import Answered
from lmcore.data.requests.lines import Beside
from lmcore.data.requests.parts import SHADOW, PartWriter, recover
from lmcore.engine.reading import bits_of
from lmcore.errors import LmcoreError

logger = logging.getLogger(__name__)

_WAITING = 64
_TICK_SECONDS = 1.0
_READ_SECONDS = 60.0


class Shadow:
    """Reads along.

    Args:
        desk: Of the versions that answer.
        alias: Of the version that reads along, of each model.
        root: Folder of all that is kept.
    """

    def __init__(self, desk: Desk, alias: str, root: Path) -> None:
        self._desk, self._alias, self._root = desk, alias, root
        self._todo: queue.Queue[tuple[Answered, Loaded] | None] = queue.Queue(_WAITING)
        self._writers: dict[str, PartWriter] = {}
        self._thread = threading.Thread(target=self._run, name="lmcore-shadow", daemon=True)

    def open(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Read what is left, and write it."""
        if self._thread.is_alive():
            self._todo.put(None)
            self._thread.join()

    def read(self, answered: Answered, loaded: Loaded) -> None:
        """A request was answered; returns at once."""
        with contextlib.suppress(queue.Full):
            self._todo.put_nowait((answered, loaded))

    def _run(self) -> None:
        while True:
            try:
                todo = self._todo.get(timeout=_TICK_SECONDS)
            except queue.Empty:
                self._seal_due()
                continue
            if todo is None:
                break
            try:
                self._read(*todo)
            except (LmcoreError, RefusalError) as error:
                logger.debug("a request was not read along (%s)", type(error).__name__)
            except Exception:
                logger.exception("a request could not be read along")
            del todo  # the version may leave memory
        for writer in self._writers.values():
            with contextlib.suppress(OSError):
                writer.seal()

    def _seal_due(self) -> None:
        for writer in self._writers.values():
            with contextlib.suppress(OSError):
                writer.flush()
                writer.seal_if_due()

    def _read(self, answered: Answered, loaded: Loaded) -> None:
        version = answered.version
        shadow = self._desk.take(f"{version.model}@{self._alias}")
        if shadow.version.number == version.number or loaded.load_now()[1]:
            return
        lines = _tasks(answered, shadow) if shadow.is_task else _texts(answered, loaded, shadow)
        writer = self._writer(version)
        for line in lines:
            writer.add(line)

    def _writer(self, version: Version) -> PartWriter:
        if (found := self._writers.get(version.model)) is None:
            folder = self._root / version.model / SHADOW
            recover(folder)
            found = self._writers[version.model] = PartWriter(folder)
        return found


def _texts(answered: Answered, loaded: Loaded, shadow: Loaded) -> list[Beside]:
    """What each text costs both."""
    found = []
    for index, text in enumerate(answered.texts):
        if not text or (index and text == answered.texts[index - 1]):
            continue
        bits = [
            bits_of(one.engine, one.tokenizer.encode(text), text, seconds=_READ_SECONDS)
            for one in (loaded, shadow)
            if one.engine is not None
        ]
        found.append(replace(_line(answered, shadow, index), bits=(bits[0], bits[1])))
    return found


def _tasks(answered: Answered, shadow: Loaded) -> list[Beside]:
    """Whether both answer each text in the same way."""
    theirs = [one.output for one in shadow.predict(answered.texts)]
    return [
        replace(
            _line(answered, shadow, index),
            outputs=(ours, other) if shadow.labels else None,
            same=ours == other,
        )
        for index, (ours, other) in enumerate(zip(answered.outputs, theirs, strict=True))
    ]


def _line(answered: Answered, shadow: Loaded, index: int) -> Beside:
    """A line without what was found."""
    version = answered.version
    return Beside(
        id=answered.id,
        index=index,
        at=moment(answered.at),
        task=version.task,
        version=version.number,
        shadow=shadow.version.number,
        num_bytes=len(answered.texts[index].encode()),
    )
