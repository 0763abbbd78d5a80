"""One model answers whoever asks: a thread that never waits for one request to end.

In: requests, from any thread.  Out: their pieces, as they are drawn.

Between two tokens of the running batch new requests have their prompts read, a chunk at a time, so
that a long prompt does not make others wait for its end; those that are over leave their row.
What is answered is a function of the request alone.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import torch

from lmcore.counted import counted, named
from lmcore.engine.ask import Ask, BusyError, ClosedError, End, Piece
from lmcore.engine.lanes import Lane, RunningBatch, tell
from lmcore.engine.read_before import Beginning, ReadBefore
from lmcore.model.continuation import Continuation, TextCodec
from lmcore.model.generation import inference
from lmcore.model.language_model import Features, LanguageModel

logger = logging.getLogger(__name__)

_CHUNK_TOKENS = 256
# Rows of logits that are held at a time while a prompt is told.
_TOLD_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Load:
    """How busy an engine is.

    Attributes:
        running: Requests in the batch.
        waiting: Requests that wait for a row, the one whose prompt is being read included.
    """

    running: int
    waiting: int


class Engine:
    """Answers requests with one model until it is closed.

    The model is made and used in one thread: each thread that multiplies keeps a team of others for
    it, and where there are more of these than cores, they sleep between any two products; a step of
    135 million weights on two cores takes half as long again then.

    Args:
        make_model: Gives one in evaluation mode, which nobody else may use.
        codec: Its tokenizer.
        most_lanes: Requests that are answered together.
        most_waiting: Requests that may wait.
        most_kept_bytes: Of what is kept of prompts (`lmcore.engine.read_before`).
        on_step: Told after each token of the batch how many rows took part.

    Raises:
        Exception: What making the model raises.
    """

    _model: LanguageModel
    _batch: RunningBatch

    def __init__(
        self,
        make_model: Callable[[], LanguageModel],
        codec: TextCodec,
        *,
        most_lanes: int = 32,
        most_waiting: int = 256,
        most_kept_bytes: int = 32 << 20,
        on_step: Callable[[int], None] = lambda lanes: None,
    ) -> None:
        self._codec = codec
        self._read_before = ReadBefore(chunk_tokens=_CHUNK_TOKENS, most_bytes=most_kept_bytes)
        self._most_waiting, self._on_step = most_waiting, on_step
        self._waiting: deque[Ask] = deque()
        self._news = threading.Condition()
        self._closing = self._hurry = False
        self._reading: Iterator[Lane | None] | None = None
        self._read_for: Ask | None = None
        self._running = 0
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._work,
            args=(make_model, most_lanes, ready),
            name="lmcore-engine",
            daemon=True,
        )
        self._thread.start()
        ready.result()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes that the batch may have."""
        return self._batch.sizes

    def submit(self, ask: Ask) -> None:
        """Have a request answered; its pieces come in the engine's thread.

        Raises:
            BusyError: If too many wait.
            ClosedError: If the engine was closed.
        """
        with self._news:
            if self._closing:
                raise ClosedError("this version is not in use any more")
            if len(self._waiting) >= self._most_waiting:
                now = time.monotonic()
                # Those that nobody waits for any more leave at the next token.
                waiting = sum(other.over(now) is None for other in self._waiting)
                if waiting >= self._most_waiting:
                    raise BusyError(
                        f"{counted(waiting, 'request')} {named(waiting, 'waits', 'wait')} already"
                    )
            self._waiting.append(ask)
            self._news.notify()

    def load(self) -> Load:
        """How busy it is."""
        with self._news:
            return Load(
                running=self._running,
                waiting=len(self._waiting) + (self._read_for is not None),
            )

    def close(self, *, wait: bool = True, hurry: bool = False) -> None:
        """Take no more requests, end with the last one that was taken, and forget the model.

        Args:
            wait: Return when that is done.
            hurry: End those in progress now, as cancelled.
        """
        with self._news:
            self._closing, self._hurry = True, self._hurry or hurry
            self._news.notify()
        if wait:
            self._thread.join()

    @property
    def closed(self) -> bool:
        """Whether its last request was answered after it was closed."""
        return not self._thread.is_alive()

    # -- the thread ----------------------------------------------------------------------------

    def _work(
        self, make_model: Callable[[], LanguageModel], most_lanes: int, ready: Future[None]
    ) -> None:
        try:
            model = self._model = make_model()
            with inference(model):
                self._batch = RunningBatch(model, most=min(most_lanes, model.reading.written))
        except BaseException as error:
            ready.set_exception(error)
            return
        del model
        ready.set_result(None)
        self._run()

    def _run(self) -> None:
        try:
            with inference(self._model):
                while self._goes_on():
                    try:
                        self._turn()
                    except Exception:  # one broken request must not end all later ones
                        logger.exception("the model failed; its requests in progress are ended")
                        self._give_up()
        finally:
            with self._news:
                self._closing = True
            self._give_up("cancelled")
            del self._model, self._batch

    def _goes_on(self) -> bool:
        """Wait for something to do; False when the last is done and none may come."""
        with self._news:
            self._running = len(self._batch.lanes)
            while not (self._running or self._waiting or self._read_for):
                if self._closing:
                    return False
                self._news.wait()
        if self._hurry:
            self._give_up("cancelled")
        return True

    def _turn(self) -> None:
        """One token of the batch, and one chunk of a prompt that waits."""
        self._drop()
        self._admit()
        if not self._batch.lanes:
            return
        told = self._batch.step()
        now = time.monotonic()
        for lane, _, _ in told:
            if lane.text.finish:
                self._batch.leave(lane)
        # Who is told the end finds the row free.
        self._running = len(self._batch.lanes)
        for lane, text, token in told:
            ask = lane.ask
            ask.first_at = ask.first_at or now
            ask.deliver(Piece(text=text, tokens=(token,), end=lane.text.finish))
        self._batch.read()
        self._on_step(len(told))

    def _drop(self) -> None:
        """End what nobody waits for, or what took too long."""
        now = time.monotonic()
        for lane in self._batch.lanes:
            if end := lane.ask.over(now):
                self._batch.leave(lane)
                lane.ask.deliver(Piece(end=end))
        with self._news:
            ends = [(ask, ask.over(now)) for ask in self._waiting]
            if any(end for _, end in ends):
                self._waiting = deque(ask for ask, end in ends if not end)
        for ask, end in ends:
            if end:
                ask.deliver(Piece(end=end))
        if self._read_for is not None and (end := self._read_for.over(now)):
            self._read_for.deliver(Piece(end=end))
            self._read_for = self._reading = None

    def _admit(self) -> None:
        """Read prompts: all while nothing runs, else one chunk, so that nobody stands still."""
        joining: list[Lane] = []
        while len(joining) < self._batch.free:
            if self._reading is None and not self._next():
                break
            assert self._reading is not None
            try:
                lane = next(self._reading)
            except StopIteration:
                self._read_for = self._reading = None
                continue
            if lane is not None:
                joining.append(lane)
                self._read_for = self._reading = None
            elif self._batch.lanes:
                break
        if joining:
            self._batch.join(joining)

    def _next(self) -> bool:
        """Begin with the prompt that waits longest; False where none does."""
        with self._news:
            if not self._waiting:
                return False
            self._read_for = self._waiting.popleft()
        self._reading = self._prompt(self._read_for)
        return True

    def _prompt(self, ask: Ask) -> Iterator[Lane | None]:
        """Read a prompt alone, chunk by chunk; last comes its lane, if any is to be drawn."""
        model = self._model
        ids = [*([model.end_id] if ask.begins else []), *ask.prompt]
        read = model.features if ask.begins else model.converse
        state, logits, first = model.fresh_state(1), None, 0
        # A conversation reads its tokens otherwise than a document.
        shared = f"{ask.begins} {ask.shared_with}"
        names = [] if ask.tell_prompt else self._read_before.names(ids, shared_with=shared)
        if found := self._read_before.longest(names):
            state, logits, first = found.state, found.logits, found.tokens
        for start in range(first, len(ids), _CHUNK_TOKENS):
            chunk = ids[start : start + _CHUNK_TOKENS]
            features, state = read(torch.tensor([chunk], device=model.device), state)
            if ask.tell_prompt and ask.begins:
                self._tell_prompt(ask, features, start, len(chunk))
            end = start + len(chunk)
            logits = model.logits(features.last()).cpu() if end == len(ids) else None
            if names:
                beginning = Beginning(tokens=end, state=state, logits=logits)
                self._read_before.keep(names[start // _CHUNK_TOKENS], beginning)
            if end < len(ids):
                yield None
        assert logits is not None
        text = Continuation(self._codec, ask.config, seed=ask.config.seed, prompt=ask.before)
        if text.finish is not None:
            ask.deliver(Piece(end=text.finish))
            return
        yield Lane(ask, text, model.stepping(state), logits)

    def _tell_prompt(self, ask: Ask, features: Features, start: int, length: int) -> None:
        targets = list(ask.prompt[start : start + length])
        for first in range(0, len(targets), _TOLD_AT_ONCE):
            some = targets[first : first + _TOLD_AT_ONCE]
            logits = self._model.logits(features.at(first, first + len(some)))[0].cpu()
            told = tell(logits, some, ask.likeliest)
            ask.deliver(Piece(tokens=tuple(told), of_prompt=True))

    def _give_up(self, end: End = "failed") -> None:
        """End all requests in progress."""
        asks = [lane.ask for lane in self._batch.lanes]
        self._batch.clear()
        if self._read_for is not None:
            asks.append(self._read_for)
            self._read_for = self._reading = None
        if end == "cancelled":
            with self._news:
                asks += self._waiting
                self._waiting.clear()
        for ask in asks:
            with contextlib.suppress(Exception):
                ask.deliver(Piece(end=end))
