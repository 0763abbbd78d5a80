"""One model answers whoever asks: threads that never wait for one request to end.

In: requests, from any thread.  Out: their pieces, as they are drawn.

New requests have their prompts read beside the running batch, or a chunk at a time between two of
its tokens, so that a long prompt does not make others wait for its end; those that are over leave
their row.  What is answered is a function of the request alone.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import torch

from lmcore.engine.ask import Ask, End, Piece
from lmcore.engine.calls import Calls, on_cores_apart
from lmcore.engine.lanes import Lane, RunningBatch, agreeing_sizes
from lmcore.engine.prompts import PromptReader
from lmcore.engine.waiting import Load, Waiting
from lmcore.model.continuation import TextCodec
from lmcore.model.generation import inference
from lmcore.model.language_model import LanguageModel

logger = logging.getLogger(__name__)


# What is kept of prompts, whatever the model, and where it is large: a share of its weights.
_LEAST_KEPT_BYTES = 8 << 20
_KEPT_SHARE = 16


def kept_bytes(model: LanguageModel) -> int:
    """Memory for what prompts left in a model (`lmcore.engine.read_before`), beside its own.

    A token of a prompt takes more of it, and reading it again more time, the larger the model is.
    """
    weights = sum(tensor.nbytes for tensor in model.parameters())
    return max(_LEAST_KEPT_BYTES, weights // _KEPT_SHARE)


class Engine:
    """Answers requests with one model until it is closed.

    A large model is made and used in one thread: each thread that multiplies keeps a team of others
    for it, and where there are more of these than cores, they sleep between any two products; a
    step of 135 million weights on two cores takes half as long again then.  A small one multiplies
    on one core; so prompts are read by a second thread, where there is a second core.

    Args:
        make_model: Gives one in evaluation mode, which nobody else may use.
        codec: Its tokenizer.
        most_lanes: Requests that are answered together.
        most_waiting: Requests that may wait.
        on_step: Told after each token of the batch how many rows took part.
        cores: That it may use; None: those that torch may.

    Raises:
        Exception: What making the model raises.
    """

    _model: LanguageModel
    _batch: RunningBatch
    _waiting: Waiting
    _prompts: PromptReader

    def __init__(
        self,
        make_model: Callable[[], LanguageModel],
        codec: TextCodec,
        *,
        most_lanes: int = 32,
        most_waiting: int = 256,
        on_step: Callable[[int], None] = lambda lanes: None,
        cores: int | None = None,
    ) -> None:
        self._codec, self._on_step = codec, on_step
        self._most_lanes, self._most_waiting = most_lanes, most_waiting
        self._joining: list[Lane] = []
        self._reading: threading.Thread | None = None
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._work, args=(make_model, cores, ready), name="lmcore-engine", daemon=True
        )
        self._thread.start()
        ready.result()

    def submit(self, ask: Ask) -> None:
        """Have a request answered; its pieces come in a thread of the engine.

        Raises:
            BusyError: If too many wait.
            ClosedError: If the engine was closed.
        """
        self._waiting.put(ask)

    def load(self) -> Load:
        """How busy it is."""
        return self._waiting.load()

    def close(self, *, wait: bool = True, hurry: bool = False) -> None:
        """Take no more requests, end with the last one that was taken, and forget the model.

        Args:
            wait: Return when that is done.
            hurry: End those in progress now, as cancelled.
        """
        self._waiting.close(hurry=hurry)
        if wait:
            self._thread.join()

    @property
    def closed(self) -> bool:
        """Whether its last request was answered after it was closed."""
        return not self._thread.is_alive()

    # -- the thread ----------------------------------------------------------------------------

    def _work(
        self, make_model: Callable[[], LanguageModel], cores: int | None, ready: Future[None]
    ) -> None:
        try:
            cores = cores or torch.get_num_threads()
            self._make(make_model(), cores)
        except BaseException as error:
            ready.set_exception(error)
            return
        ready.set_result(None)
        self._run()

    def _make(self, model: LanguageModel, cores: int) -> None:
        self._model = model
        with inference(model):
            sizes = agreeing_sizes(model, most=min(self._most_lanes, model.reading.written))
            beside = on_cores_apart(model) and torch.get_num_threads() == 1 < cores
            calls = Calls(model, sizes=sizes)
        self._batch = RunningBatch(calls, device=model.device, sizes=sizes)
        self._waiting = Waiting(most=self._most_waiting, rows=sizes[-1])
        self._prompts = PromptReader(
            model, calls, self._codec, self._waiting, most_kept_bytes=kept_bytes(model)
        )
        if beside:
            self._reading = threading.Thread(
                target=self._prompts.run, name="lmcore-prompts", daemon=True
            )
            self._reading.start()

    def _run(self) -> None:
        try:
            with inference(self._model):
                while self._goes_on():
                    try:
                        self._turn()
                    except Exception:  # one broken request must not end all later ones
                        logger.exception("the model failed; its requests in progress are ended")
                        self._give_up("failed")
        finally:
            # Nobody would answer what comes now.
            self._waiting.close(hurry=True)
            if self._reading is not None:
                self._reading.join()
            self._give_up("cancelled")
            del self._model, self._batch, self._prompts

    @property
    def _reads(self) -> bool:
        """Whether this thread reads the prompts, too."""
        return self._reading is None

    def _goes_on(self) -> bool:
        """Wait for something to do; False when the last is done and none may come."""
        busy = bool(self._batch.lanes) or (self._reads and self._prompts.ask is not None)
        if not busy and not self._waiting.rest(reads=self._reads):
            return False
        if self._waiting.hurry:
            self._give_up("cancelled")
        return True

    def _turn(self) -> None:
        """One token of the batch, and one chunk of a prompt that waits."""
        self._drop()
        self._join()
        if not self._batch.lanes:
            return
        told = self._batch.step()
        now = time.monotonic()
        # Who is told the end finds the row free.
        for lane, _, _ in told:
            if lane.text.finish:
                self._leave(lane)
        for lane, text, token in told:
            lane.ask.first_at = lane.ask.first_at or now
            lane.say(text, token)
        self._batch.read()
        self._on_step(len(told))

    def _drop(self) -> None:
        """End what nobody waits for, or what took too long."""
        now = time.monotonic()
        for lane in self._batch.lanes:
            if end := lane.ask.over(now):
                self._leave(lane)
                lane.end(end)
        for ask, over in self._waiting.over(now):
            ask.deliver(Piece(end=over))

    def _leave(self, lane: Lane) -> None:
        self._batch.leave(lane)
        self._waiting.done()

    def _join(self) -> None:
        """Let those whose prompts are read take part."""
        self._joining += self._read() if self._reads else self._waiting.read()
        if self._joining:
            self._batch.join(self._joining)
            self._joining = []

    def _read(self) -> list[Lane]:
        """Read prompts: all while nothing runs, else one chunk, so that nobody stands still."""
        found: list[Lane] = []
        while self._prompts.ask is not None or self._prompts.begin():
            if (lane := self._prompts.go_on()) is not None:
                found.append(lane)
            elif self._prompts.ask is not None and self._batch.lanes:
                break
        return found

    def _give_up(self, end: End) -> None:
        """End all that are drawn; where they are cancelled, all that wait, too."""
        lanes = [*self._batch.lanes, *self._joining]
        self._batch.clear()
        self._joining = []
        waiting: list[Ask] = []
        if end == "cancelled":
            lanes += self._waiting.read()
            waiting = self._waiting.clear()
        lanes = list(dict.fromkeys(lanes))
        for _ in lanes:
            self._waiting.done()
        for lane in lanes:
            with contextlib.suppress(Exception):
                lane.end(end)
        for ask in waiting:
            with contextlib.suppress(Exception):
                ask.deliver(Piece(end=end))
