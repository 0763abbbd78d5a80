"""Prompts are read, chunk by chunk, until there is something to draw from.

In: requests that wait.  Out: for each a lane, with the state that its prompt left and the logits of
its first token; or its end, where nothing is to be drawn or nobody waits any more.

A prompt is read alone, so what is read of it is a function of itself.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from lmcore.engine.ask import Ask, End, Piece
from lmcore.engine.calls import Calls
from lmcore.engine.lanes import Lane, tell
from lmcore.engine.read_before import Beginning, ReadBefore
from lmcore.engine.waiting import Waiting
from lmcore.model.continuation import Continuation, TextCodec
from lmcore.model.generation import inference
from lmcore.model.language_model import Features, LanguageModel
from lmcore.model.state import State

logger = logging.getLogger(__name__)

# Rows of logits that are held at a time while a prompt is told.
_TOLD_AT_ONCE = 64


class PromptReader:
    """Reads one prompt after the other.

    Args:
        model: In evaluation mode.
        calls: Of it.
        codec: Its tokenizer.
        waiting: Where requests come from.
        most_kept_bytes: Of what is kept of prompts (`lmcore.engine.read_before`).

    Attributes:
        ask: Whose prompt is being read; None: nobody's.
    """

    def __init__(
        self,
        model: LanguageModel,
        calls: Calls,
        codec: TextCodec,
        waiting: Waiting,
        *,
        most_kept_bytes: int,
    ) -> None:
        self._model, self._calls, self._codec, self._waiting = model, calls, codec, waiting
        self._read_before = ReadBefore(chunk_tokens=calls.chunk_tokens, most_bytes=most_kept_bytes)
        self._chunks: Iterator[Lane | None] = iter(())
        self.ask: Ask | None = None

    def run(self) -> None:
        """Read in a thread of its own, until no more prompts will come."""
        with inference(self._model):
            while self.begin(wait=True):
                while self.ask is not None:
                    if (lane := self.go_on()) is not None:
                        self._waiting.hand(lane)
        del self._model, self._calls

    def begin(self, *, wait: bool = False) -> bool:
        """Begin with the prompt that waits longest, if there is one; see `Waiting.take`."""
        self.ask = self._waiting.take(wait=wait)
        if self.ask is None:
            return False
        self._chunks = self._read(self.ask)
        return True

    def go_on(self) -> Lane | None:
        """Read one chunk of the prompt in hand; its lane after the last one.

        Where there will be none, the request is over.
        """
        ask, lane = self.ask, None
        assert ask is not None
        end: End | None = "cancelled" if self._waiting.hurry else ask.over(time.monotonic())
        try:
            if end is None and (lane := next(self._chunks)) is None:
                return None
        except StopIteration:
            end = "length"  # nothing was to be drawn
        except Exception:  # one broken request must not end all later ones
            logger.exception("the model failed at a prompt; its request is ended")
            end = "failed"
        self.ask, self._chunks = None, iter(())
        if end is not None:
            self._waiting.done()
            with contextlib.suppress(Exception):
                ask.deliver(Piece(end=end))
        return lane

    def _read(self, ask: Ask) -> Iterator[Lane | None]:
        """None after each chunk, but its lane after the last, if anything is to be drawn."""
        model = self._model
        ids = [*([model.end_id] if ask.begins else []), *ask.prompt]
        state: State | None = None
        logits, first = None, 0
        # A conversation reads its tokens otherwise than a document.
        shared = f"{ask.begins} {ask.shared_with}"
        names = [] if ask.tell_prompt else self._read_before.names(ids, shared_with=shared)
        if found := self._read_before.longest(names):
            state, logits, first = found.state, found.logits, found.tokens
        length = self._calls.chunk_tokens
        for start in range(first, len(ids), length):
            chunk = torch.tensor([ids[start : start + length]], device=model.device)
            last, state = self._read_chunk(ask, chunk, state, start)
            end = start + chunk.shape[1]
            logits = last.cpu() if end == len(ids) else None
            if names:
                beginning = Beginning(tokens=end, state=state, logits=logits)
                self._read_before.keep(names[start // length], beginning)
            if end < len(ids):
                yield None
        assert state is not None
        assert logits is not None
        text = Continuation(self._codec, ask.config, seed=ask.config.seed, prompt=ask.before)
        if text.finish is None:
            yield Lane(ask, text, self._calls.stepping(state), logits)

    def _read_chunk(
        self, ask: Ask, tokens: Tensor, state: State | None, start: int
    ) -> tuple[Tensor, State]:
        """Logits after a chunk [1, T] that begins at a place of the prompt, and the state then."""
        if ask.begins and not ask.tell_prompt:
            return self._calls.chunk(tokens, state)
        read = self._model.features if ask.begins else self._model.converse
        features, after = read(tokens, state)
        if ask.begins:
            self._tell(ask, features, start, tokens.shape[1])
        return self._model.logits(features.last()), after

    def _tell(self, ask: Ask, features: Features, start: int, length: int) -> None:
        targets = list(ask.prompt[start : start + length])
        for first in range(0, len(targets), _TOLD_AT_ONCE):
            some = targets[first : first + _TOLD_AT_ONCE]
            logits = self._model.logits(features.at(first, first + len(some)))[0].cpu()
            told = tell(logits, some, ask.likeliest)
            ask.deliver(Piece(tokens=tuple(told), of_prompt=True))
