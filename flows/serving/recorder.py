"""What is asked comes back: a share of the requests, and what people say of the answers.

In: requests that were answered, of models whose configuration says `serve: {record: sampled}`.
Out: masked lines below `requests` in LMCORE_HOME (`lmcore.data.requests`).  Nothing is logged.

Answers are remembered for a while, in memory, so that feedback needs only an identifier; a request
that was not sampled is kept when somebody says something of its answer, as that is evidence then.
Masking and writing take place in a thread of their own; a request never waits for them.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flows.serving.loaded import Loaded
from flows.serving.protocol import FeedbackRequest
from flows.serving.refusal import RefusalError
from flows.serving.remembered import Answered, Remembered
from lmcore.data.requests.config import ServeConfig
from lmcore.data.requests.lines import Asked, Feedback, Line
from lmcore.data.requests.parts import ASKED, FEEDBACK, PartWriter, recover

logger = logging.getLogger(__name__)

_WAITING = 1000
_TICK_SECONDS = 1.0
_FLUSH_SECONDS = 2.0
_EXPIRE_SECONDS = 3600.0


class Recorder:
    """Keeps what is asked.

    Args:
        root: Folder of all that is kept.
        settings: By model; one that is not named is not recorded.
        on_asked: Given each request that was sampled, with who answered it, in the recorder's
            thread.
        chance: Uniform between 0 and 1.
    """

    def __init__(
        self,
        root: Path,
        settings: Mapping[str, ServeConfig],
        *,
        on_asked: Callable[[Answered, Loaded], None] = lambda answered, loaded: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._root, self._on_asked, self._chance = root, on_asked, chance
        self._settings = {name: one for name, one in settings.items() if one.records}
        self._memory = Remembered()
        self._todo: queue.Queue[_Todo | None] = queue.Queue(_WAITING)
        self._writers: dict[tuple[str, str], PartWriter] = {}
        self._problem = ""
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Begin; what a killed server left is sealed."""
        if not self._settings:
            return
        for model in self._settings:
            for kind in (ASKED, FEEDBACK):
                folder = self._root / model / kind
                recover(folder)
                self._writers[model, kind] = PartWriter(folder)
        self._thread = threading.Thread(target=self._run, name="lmcore-recorder", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left."""
        if self._thread is not None:
            self._todo.put(None)
            self._thread.join()

    def keeps(self, model: str) -> bool:
        """Whether requests to a model are recorded."""
        return model in self._settings

    def problems(self) -> list[str]:
        """What is not as it should be."""
        return [self._problem] if self._problem else []

    # -- for requests ----------------------------------------------------------------------------

    def remember(self, answered: Answered, loaded: Loaded) -> None:
        """A request was answered; returns at once."""
        if (settings := self._settings.get(answered.version.model)) is None:
            return
        self._memory.add(answered)
        if self._chance() < settings.share:
            # What there is no time for is a share that was not sampled.
            with contextlib.suppress(queue.Full):
                self._todo.put_nowait(_Todo(answered=answered, loaded=loaded))

    def feedback(self, given: FeedbackRequest, loaded: Loaded, client: str) -> Future[None]:
        """Somebody says something of an answer; done when it is on the disk.

        Raises:
            RefusalError: If nothing is kept, the answer is not known, was judged before, or the
                label is none.
        """
        model = loaded.version.model
        if not self.keeps(model):
            raise RefusalError(
                400,
                f"feedback on {model} is not kept here: its configuration does not say"
                " `serve: {record: sampled}`",
                code="not_recorded",
            )
        if given.label is not None and given.label not in loaded.labels:
            known = ", ".join(loaded.labels) or "none: it has no labels"
            raise RefusalError(400, f"label: {given.label!r} is not one of {known}", param="label")
        done: Future[None] = Future()
        todo = _Todo(feedback=self._line(given, loaded, client), loaded=loaded, done=done)
        try:
            self._todo.put_nowait(todo)
        except queue.Full as error:
            raise RefusalError(
                429,
                "too much waits to be written; try again in a second",
                code="rate_limit_exceeded",
                retry_after=1,
            ) from error
        return done

    def _line(self, given: FeedbackRequest, loaded: Loaded, client: str) -> Feedback:
        text, output, version = given.input, given.output, loaded.version
        if given.id is not None:
            answered = self._memory.recall(given.id, given.index, version.model)
            text, output = answered.texts[given.index], answered.outputs[given.index]
            version = answered.version
        assert text is not None
        return Feedback(
            id=given.id or "",
            index=given.index,
            at=moment(time.time()),
            client=client,
            version=version.number,
            task=version.task,
            text=text,
            output=output,
            rating=given.rating,
            accepted=output if given.rating == "up" else given.accepted,
        )

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        flushed = expired = 0.0
        while True:
            with contextlib.suppress(queue.Empty):
                todo = self._todo.get(timeout=_TICK_SECONDS)
                if todo is None:
                    break
                self._do(todo)
            now = time.monotonic()
            if now - flushed > _FLUSH_SECONDS:
                flushed = now
                self._guarded(self._flush)
            if not expired or now - expired > _EXPIRE_SECONDS:
                expired = now
                self._guarded(self._expire)
        for writer in self._writers.values():
            self._guarded(writer.seal)

    def _do(self, todo: _Todo) -> None:
        if todo.answered is not None:
            answered = todo.answered
            self._guarded(lambda: self._keep_asked(answered, todo.loaded))
            self._guarded(lambda: self._on_asked(answered, todo.loaded))
        if todo.feedback is not None and todo.done is not None:
            try:
                self._keep_feedback(todo.feedback, todo.loaded)
            except Exception as error:
                self._tell(error)
                todo.done.set_exception(
                    RefusalError(503, "feedback cannot be written now", retry_after=60)
                )
            else:
                todo.done.set_result(None)

    def _keep_asked(self, answered: Answered, loaded: Loaded) -> None:
        version = answered.version
        writer = self._writers[version.model, ASKED]
        # Several answers to one prompt are one request for it.
        for index, text in enumerate(answered.texts):
            if index and text == answered.texts[index - 1]:
                continue
            writer.add(
                Asked(
                    id=answered.id,
                    index=index,
                    at=moment(answered.at),
                    client=answered.client,
                    version=version.number,
                    task=version.task,
                    text=self._masked(text, loaded),
                )
            )

    def _keep_feedback(self, line: Feedback, loaded: Loaded) -> None:
        writer = self._writers[loaded.version.model, FEEDBACK]
        masked: dict[str, str | None] = {
            key: None if value is None else self._masked(value, loaded)
            for key, value in (
                ("text", line.text),
                ("output", line.output),
                ("accepted", line.accepted),
            )
        }
        kept: Line = Feedback(**{**vars(line), **masked})
        if not writer.add(kept):
            raise OSError("the folder of requests is full")
        writer.flush()

    def _masked(self, text: str, loaded: Loaded) -> str:
        settings = self._settings[loaded.version.model]
        masking = loaded.masking
        return masking.find(text).text if settings.mask_pii else masking.apply(text)

    def _flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()
            writer.seal_if_due()
        self._problem = ""

    def _expire(self) -> None:
        for (model, _), writer in self._writers.items():
            writer.expire(self._settings[model].keep_days)

    def _guarded(self, work: Callable[[], object]) -> None:
        """Whatever goes wrong here must not end what is answered."""
        try:
            work()
        except Exception as error:
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        # Its own words might quote what was asked.
        why = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        problem = f"requests cannot be kept ({why})"
        if problem != self._problem:
            logger.warning("%s", problem)
        self._problem = problem


@dataclass(frozen=True, kw_only=True)
class _Todo:
    """Something to write."""

    loaded: Loaded
    answered: Answered | None = None
    feedback: Feedback | None = None
    done: Future[None] | None = None


def moment(at: float) -> str:
    """A time as lines hold it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
