"""How an engine calls its model: for a token in each row, and for a chunk of a prompt.

A step of a small model is small operations.  After each of them a thread waits for its turn in the
interpreter, which costs more than the operation where other threads have something to do there.  So
the calls of such a model are traced (`lmcore.engine.traces`).  A trace is used only where it was
seen to say what the model says, to the last bit; all else is asked of the model itself.

Legend: S rows, T tokens, V tokens of the vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TypeAlias

import torch
from torch import Tensor

from lmcore.engine.traces import Call, flat, traced
from lmcore.model.language_model import LanguageModel
from lmcore.model.state import State

logger = logging.getLogger(__name__)

# Tokens of the chunks that are tried; the longest is the most that a trace reads.  The first is the
# example: a table that it takes its rows from is long enough for all.
_TRIED_CHUNKS = (127, 2, 61, 128)

#: What is read, and the state before it.
Example: TypeAlias = tuple[Sequence[Tensor], State | None]


class Calls:
    """Ways to call one model.

    Args:
        model: In evaluation mode, settled.
        sizes: Numbers of rows that will be stepped, and no others.

    Attributes:
        chunk_tokens: Tokens of a prompt that are best read at once.

    Make and call it under `lmcore.model.generation.inference`.
    """

    def __init__(self, model: LanguageModel, *, sizes: Sequence[int]) -> None:
        self._end_id = model.end_id
        self._step, self._chunk, self._stepping = _step(model), _chunk(model), _stepping(model)
        self._chunks: dict[bool, Call] = {}
        self.chunk_tokens = 256
        # A large model waits for its weights, not for the interpreter.
        if not on_cores_apart(model):
            return
        tried = _Tried(model)
        chunks = ((begins, tried.chunk(self._chunk, begins=begins)) for begins in (True, False))
        self._chunks = {begins: call for begins, call in chunks if call is not None}
        if self._chunks:
            self.chunk_tokens = max(_TRIED_CHUNKS)
        self._stepping = tried.stepping(self._stepping) or self._stepping
        self._step = tried.step(self._step, sizes) or self._step

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read a token [S, 1] in each row, of which none starts a document.

        Args:
            tokens: Where the model is.
            state: Of `stepping`; it is used up.

        Returns:
            Logits [S, V], and the state after the tokens.
        """
        (logits,), after = self._step([tokens], state)
        return logits, after

    def chunk(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Read a chunk [1, T] of a document.

        Args:
            tokens: Where the model is.
            state: What was read before; None: the document begins.

        Returns:
            Logits after it [1, V], and the state after it.
        """
        call = self._chunks.get(state is None)
        if (
            call is None
            or not 1 < tokens.shape[1] <= self.chunk_tokens
            or bool((tokens[:, 1:] == self._end_id).any())
        ):
            call = self._chunk
        (logits,), after = call([tokens], state)
        return logits, after

    def stepping(self, state: State) -> State:
        """See `LanguageModel`, of a state of one lane."""
        return self._stepping([], state)[1]


def on_cores_apart(model: LanguageModel) -> bool:
    """Whether each core best reads and writes lanes of its own: small models on a CPU."""
    return model.reading.apart and model.device.type == "cpu"


def _step(model: LanguageModel) -> Call:
    def call(read: Sequence[Tensor], state: State | None) -> tuple[Sequence[Tensor], State]:
        (tokens,) = read
        logits, after = model(tokens, state)
        return [logits[:, -1]], after

    return call


def _chunk(model: LanguageModel) -> Call:
    def call(read: Sequence[Tensor], state: State | None) -> tuple[Sequence[Tensor], State]:
        (tokens,) = read
        features, after = model.features(tokens, state)
        return [model.logits(features.last())], after

    return call


def _stepping(model: LanguageModel) -> Call:
    def call(read: Sequence[Tensor], state: State | None) -> tuple[Sequence[Tensor], State]:
        assert state is not None
        return read, model.stepping(state)

    return call


class _Tried:
    """Traces of a model's calls; None where one says anything else than the model."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._rng = torch.Generator().manual_seed(0)
        self._fresh = model.fresh_state(1)

    def step(self, call: Call, sizes: Sequence[int]) -> Call | None:
        """One token in each of so many rows."""
        # The largest is the example: a table that it takes its rows from is long enough for all.
        return self._traced(f"step {max(sizes)}", call, self._steps(call, sorted(sizes)[::-1]))

    def _steps(self, call: Call, sizes: Sequence[int]) -> Iterator[Example]:
        _, read = self._model.features(self._text(9, begins=True), self._fresh)
        for size in sizes:
            rows = self._model.stepping(read.select([0] * size))
            for _ in range(2):
                tokens = torch.cat([self._text(1) for _ in range(size)])
                yield [tokens], rows
                _, rows = call([tokens], rows)

    def chunk(self, call: Call, *, begins: bool) -> Call | None:
        """A chunk of one document, its first one or a later one."""
        state = None if begins else self._model.features(self._text(200, begins=True))[1]
        texts = (self._text(length, begins=begins) for length in _TRIED_CHUNKS)
        name = "begin" if begins else "go on"
        return self._traced(name, call, (([text], state) for text in texts))

    def stepping(self, call: Call) -> Call | None:
        """What a prompt left, before its first token is read."""
        _, read = self._model.features(self._text(9, begins=True), self._fresh)
        return self._traced("stepping", call, (([], state) for state in (read, self._fresh)))

    def _text(self, length: int, *, begins: bool = False) -> Tensor:
        """Tokens [1, T] of which none but the first starts a document."""
        model = self._model
        tokens = torch.randint(model.vocab_size - 1, (1, length), generator=self._rng)
        tokens += tokens >= model.end_id
        if begins:
            tokens[:, 0] = model.end_id
        return tokens

    def _traced(self, name: str, call: Call, examples: Iterator[Example]) -> Call | None:
        try:
            first = next(examples)
            found = traced(name, self._model, call, *first)
            if found and all(_same(call, found, *one) for one in chain([first], examples)):
                return found
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            logger.debug("%s of the model cannot be traced: %s", name, error)
        return None


def _same(call: Call, other: Call, read: Sequence[Tensor], state: State | None) -> bool:
    expected, found = (flat(*one(read, state and state.map(torch.clone))) for one in (call, other))
    return all(map(torch.equal, expected, found))
