"""The running batch: rows that requests take and leave between any two tokens.

In: lanes with the state that their prompt left.  Out: the next token of each, by one call of the
model for all of them.

What a row says must not depend on the others to the last bit, or a seed would be no promise.  Sums
of floats in a product of matrices depend on how many rows it has, as another kernel may be chosen;
so the batch only has sizes among which the model was seen to agree (`agreeing_sizes`), free rows
read along, and a prompt is read alone.

Legend: S rows, V tokens.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lmcore.engine.ask import Ask, End, Piece, Told
from lmcore.engine.calls import Calls
from lmcore.model.continuation import Continuation, advance
from lmcore.model.generation import prefill
from lmcore.model.language_model import LanguageModel
from lmcore.model.state import State

_SIZES = (1, 4, 8, 16, 32)
# Of the texts with which it is tried.
_TRIED_TOKENS = (24, 17, 9)


class Lane:
    """A request in the batch.

    Args:
        ask: What is asked.
        text: Its continuation.
        state: After its prompt, one lane.
        logits: Of its first token, [1, V].

    Attributes:
        token: That was drawn last.
    """

    def __init__(self, ask: Ask, text: Continuation, state: State, logits: Tensor) -> None:
        self.ask, self.text, self.state, self.logits = ask, text, state, logits
        self.token = -1
        self._said: list[str] = []
        self._told: list[Told] = []

    def say(self, text: str, told: Told) -> None:
        """Hand on what was drawn last."""
        end = self.text.finish
        if not self.ask.whole:
            self.ask.deliver(Piece(text=text, tokens=(told,), end=end))
            return
        self._said.append(text)
        self._told.append(told)
        if end is not None:
            self.end(end)

    def end(self, end: End) -> None:
        """Hand on what nobody was told yet, and that nothing follows."""
        self.ask.deliver(Piece(text="".join(self._said), tokens=tuple(self._told), end=end))


class RunningBatch:
    """Rows of one model.

    Args:
        calls: Of the model.
        device: Where that is.
        sizes: Numbers of rows that it may have, ascending, of `agreeing_sizes`.

    Call everything under `lmcore.model.generation.inference`, in one thread.
    """

    def __init__(self, calls: Calls, *, device: torch.device, sizes: tuple[int, ...]) -> None:
        self._calls, self._device, self._sizes = calls, device, sizes
        self._rows: list[Lane | None] = []
        self._state: State | None = None
        self._logits: Tensor | None = None

    @property
    def lanes(self) -> list[Lane]:
        """Those in progress."""
        return [lane for lane in self._rows if lane is not None]

    @property
    def free(self) -> int:
        """How many more may join."""
        return self._sizes[-1] - len(self.lanes)

    def join(self, lanes: Sequence[Lane]) -> None:
        """Put lanes into free rows."""
        assert len(lanes) <= self.free, "more lanes than rows"
        places = [row for row, lane in enumerate(self._rows) if lane is None]
        if len(lanes) > len(places):
            self._resize([*self.lanes, *lanes])
            return
        assert self._state is not None
        assert self._logits is not None
        for place, (row, lane) in enumerate(zip(places, lanes, strict=False)):
            if not _write(self._state, row, lane.state):
                self._resize([*self.lanes, *lanes[place:]])
                return
            self._logits[row] = lane.logits[0]
            self._rows[row] = lane
            del lane.state, lane.logits

    def leave(self, lane: Lane) -> None:
        """Free the row of a lane."""
        self._rows[self._rows.index(lane)] = None
        left = self.lanes
        if not left:
            self.clear()
        elif self._size(2 * len(left)) < len(self._rows):
            # Not at half already: who joins next would have it grown again.
            self._resize(left)

    def clear(self) -> None:
        """Free all rows."""
        self._rows, self._state, self._logits = [], None, None

    def step(self) -> list[tuple[Lane, str, Told]]:
        """Draw the next token of each lane; lanes that are not over read it by `read`."""
        assert self._logits is not None
        lanes, logits = self.lanes, self._logits
        if len(lanes) < len(self._rows):
            rows = [row for row, lane in enumerate(self._rows) if lane is not None]
            logits = logits.index_select(0, _numbers(rows))
        drawn = advance([lane.text for lane in lanes], logits)
        found = []
        for place, (lane, (token, piece)) in enumerate(zip(lanes, drawn, strict=True)):
            lane.token = token
            told = _untold(token)
            if (likeliest := lane.ask.likeliest) is not None:
                (told,) = tell(logits[place : place + 1], [token], likeliest)
            found.append((lane, piece, told))
        return found

    def read(self) -> None:
        """Let the model read what was drawn for the lanes that are left."""
        if not self._rows:
            return
        assert self._state is not None
        drawn = [None if lane is None else lane.token for lane in self._rows]
        # Any token but the end of a text, with which a row would begin anew beside the others.
        some = next(token for token in drawn if token is not None)
        tokens = [some if token is None else token for token in drawn]
        step = _numbers(tokens).unsqueeze(1).to(self._device)
        logits, self._state = self._calls.step(step, self._state)
        self._logits = logits.cpu()

    def _size(self, lanes: int) -> int:
        return next(size for size in self._sizes if size >= min(lanes, self._sizes[-1]))

    def _resize(self, lanes: Sequence[Lane]) -> None:
        """The smallest batch that holds these lanes; those already in it keep their state."""
        here = {id(lane): row for row, lane in enumerate(self._rows) if lane is not None}
        new = [lane for lane in lanes if id(lane) not in here]
        states = [lane.state for lane in new]
        logits = [lane.logits for lane in new]
        order = [here[id(lane)] for lane in lanes if id(lane) in here]
        if order:
            assert self._state is not None
            assert self._logits is not None
            states.insert(0, self._state.select(order))
            logits.insert(0, self._logits[order])
        kept = [lane for lane in lanes if id(lane) in here] + new
        size = self._size(len(kept))
        # Free rows repeat a row: whatever they read, nobody looks.
        filled = [*range(len(kept)), *[0] * (size - len(kept))]
        self._state = State.concatenate(states).select(filled)
        self._logits = torch.cat(logits)[filled]
        self._rows = [*kept, *[None] * (size - len(kept))]
        for lane in new:
            del lane.state, lane.logits


def _numbers(values: Sequence[int]) -> Tensor:
    """An int64 tensor; by way of numpy it is made in a fifth of the time."""
    return torch.from_numpy(np.array(values, dtype=np.int64))


def _write(state: State, row: int, one: State) -> bool:
    """Put one lane's state into a row; False where it has not the form for that."""
    pairs = list(zip(state.tensors(), one.tensors(), strict=True))
    if any(
        into.shape[1:] != new.shape[1:] or into.dtype != new.dtype or into.stride(0) == 0
        for into, new in pairs
    ):
        return False
    for into, new in pairs:
        into[row] = new[0]
    return True


@functools.lru_cache(maxsize=1 << 14)
def _untold(token: int) -> Told:
    """A token with nothing said of it; made once, as there are thousands in a second."""
    return Told(token=token, log_probability=None)


def tell(logits: Tensor, tokens: Sequence[int], likeliest: int | None) -> list[Told]:
    """The tokens of rows [T, V] with what the rows say of them; None tells nothing."""
    if likeliest is None:
        return [_untold(token) for token in tokens]
    logarithms = logits.double().log_softmax(1)
    own = logarithms.gather(1, torch.tensor(tokens)[:, None])[:, 0].tolist()
    count = min(likeliest, logits.shape[1])
    best, ids = logarithms.topk(count, dim=1)
    return [
        Told(
            token=token,
            log_probability=value,
            likeliest=tuple(zip(their, values, strict=True)),
        )
        for token, value, their, values in zip(
            tokens, own, ids.tolist(), best.tolist(), strict=True
        )
    ]


@torch.inference_mode()
def agreeing_sizes(model: LanguageModel, *, most: int) -> tuple[int, ...]:
    """Sizes of a batch among which a row's logits agree to the last bit, up to the largest.

    Tried with texts of different lengths, and another token after them in each row.  The largest
    size is one of them, unless a row depends on how long the others' texts are: then there is no
    batch, and the only size is 1.
    """
    if not model.rows_apart:
        return (1,)
    rng = torch.Generator().manual_seed(0)
    texts = len(_TRIED_TOKENS)
    prompts = [torch.randint(model.vocab_size, (n,), generator=rng) for n in _TRIED_TOKENS]
    read = State.concatenate([prefill(model, [prompt.tolist()])[1] for prompt in prompts])
    state = model.stepping(read.select([row % texts for row in range(most)]))
    tokens = torch.randint(model.vocab_size, (most, 1), generator=rng).to(model.device)
    first, after = model(tokens, state.select(range(most)))
    second, _ = model(tokens, after)

    def agrees(rows: list[int]) -> bool:
        logits, then = model(tokens[rows], state.select(rows))
        following, _ = model(tokens[rows], then)
        return torch.equal(logits, first[rows]) and torch.equal(following, second[rows])

    for text in range(min(texts, most)):
        same = list(range(text, most, texts))
        if not agrees([same[row % len(same)] for row in range(most)]):
            return (1,)
    # The first rows, and the last ones: a row must not depend on its place either.
    sizes = [
        size
        for size in _SIZES
        if size < most and agrees(list(range(size))) and agrees(list(range(most - size, most)))
    ]
    return (*sizes, most)
