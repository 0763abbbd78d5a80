"""Continue a prompt: streaming, seeded, in constant memory.

In: a model, a tokenizer, prompts. Out: pieces of text or whole generations.
The model's state is all that is kept of the past, so a token costs the same after ten
tokens and after ten thousand. Each prompt has its own random generator, so
its continuation does not depend on its neighbours in a batch.
"""

from __future__ import annotations

import codecs
import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from lmcore.model.filtering import FRAGMENT_CHARACTERS
from lmcore.model.language_model import LanguageModel
from lmcore.model.sampling import GenerationConfig, draw
from lmcore.model.state import State

__all__ = ["Generation", "GenerationConfig", "generate", "generate_batch", "stream_generate"]

# Tokens of a prompt, and of all prompts together, that are read at once.
_PREFILL_TOKENS = 512
_PREFILL_BATCH_TOKENS = 4096
_PENALTY_TOKENS = 64
# Below this many parameters one core reads the weights as fast as several, which would only
# wait for each other, on a busy machine for milliseconds a token.
_ONE_CORE_PARAMETERS = 20_000_000

Finish = Literal["end", "length", "stop", "filtered"]


class TextCodec(Protocol):
    """What generation needs of a tokenizer."""

    end_id: int
    pieces: tuple[bytes, ...]

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without the end token."""
        ...


@dataclass(frozen=True, kw_only=True)
class Generation:
    """A finished continuation.

    Attributes:
        text: The new text, without the prompt.
        tokens: Number of new tokens, a final end token not counted.
        finish: `end` (the model ended the document), `length`, `stop` (a stop string), or
            `filtered` (what came next must not be emitted).
    """

    text: str
    tokens: int
    finish: Finish


class _Lane:
    """One prompt's continuation: draws, decodes and watches for the end."""

    def __init__(
        self, codec: TextCodec, config: GenerationConfig, *, seed: int, prompt: str
    ) -> None:
        self._codec, self._config = codec, config
        # A forbidden text may begin in the prompt.
        self._before = prompt[1 - FRAGMENT_CHARACTERS :]
        self._rng = torch.Generator().manual_seed(seed)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._recent: deque[int] = deque(maxlen=_PENALTY_TOKENS)
        self._held = ""
        self.tokens = 0
        self.finish: Finish | None = None if config.max_tokens else "length"

    def advance(self, logits: Tensor) -> tuple[int, str]:
        """Draw from logits [V]; returns the token and the text that is now certain."""
        recent = None
        if self._config.repetition_penalty != 1.0:
            recent = torch.tensor(sorted(set(self._recent)), dtype=torch.long)
        token = draw(logits, self._config, rng=self._rng, recent=recent)
        if token == self._codec.end_id:
            self.finish = "end"
            return token, self._emit(self._decoder.decode(b"", final=True))
        self._recent.append(token)
        self.tokens += 1
        last = self.tokens == self._config.max_tokens
        if last:
            self.finish = "length"
        return token, self._emit(self._decoder.decode(self._codec.pieces[token], final=last))

    def result(self, pieces: Iterable[str]) -> Generation:
        """The whole; a lane itself does not keep the text, so that a stream's memory is flat."""
        text = "".join(pieces)
        assert self.finish is not None
        return Generation(text=text, tokens=self.tokens, finish=self.finish)

    def _emit(self, new: str) -> str:
        """Text that no stop string can still take back."""
        text = self._held + new
        stops, forbidden = self._config.stop, self._config.forbidden
        found = min((at for at in (text.find(stop) for stop in stops) if at >= 0), default=-1)
        keep = 0
        if forbidden is not None:
            whole = self._before + text
            begin = forbidden.find(whole)
            if begin >= 0 and (found < 0 or begin <= len(self._before) + found):
                self.finish, self._held = "filtered", ""
                return text[: max(0, begin - len(self._before))]
            keep = min(len(text), forbidden.pending(whole))
        if found >= 0:
            self.finish = "stop"
            text, self._held = text[:found], ""
        elif self.finish is None:
            keep = max(keep, *(_overlap(text, stop) for stop in stops), 0)
            text, self._held = text[: len(text) - keep], text[len(text) - keep :]
        if forbidden is not None:
            self._before = (self._before + text)[1 - FRAGMENT_CHARACTERS :]
        return text


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a proper beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)


def stream_generate(
    model: LanguageModel, tokenizer: TextCodec, prompt: str, config: GenerationConfig
) -> Iterator[str]:
    """Yield the continuation in pieces that never split a character or reveal a stop string."""
    lane = _Lane(tokenizer, config, seed=config.seed, prompt=prompt)
    yield from _stream(model, tokenizer, prompt, lane)


def generate(
    model: LanguageModel, tokenizer: TextCodec, prompt: str, config: GenerationConfig
) -> Generation:
    """Continue one prompt."""
    lane = _Lane(tokenizer, config, seed=config.seed, prompt=prompt)
    return lane.result(_stream(model, tokenizer, prompt, lane))


def generate_batch(
    model: LanguageModel,
    tokenizer: TextCodec,
    prompts: Sequence[str],
    config: GenerationConfig,
) -> list[Generation]:
    """Continue several prompts, as many together as suits the model.

    The one at index i uses the seed `config.seed + i`.
    """
    together = model.reading.written
    return [
        generation
        for start in range(0, len(prompts), together)
        for generation in _together(
            model, tokenizer, prompts[start : start + together], config, first=start
        )
    ]


def _together(
    model: LanguageModel,
    tokenizer: TextCodec,
    prompts: Sequence[str],
    config: GenerationConfig,
    *,
    first: int,
) -> list[Generation]:
    lanes = [
        _Lane(tokenizer, config, seed=config.seed + first + index, prompt=prompt)
        for index, prompt in enumerate(prompts)
    ]
    texts: list[list[str]] = [[] for _ in prompts]
    active = [index for index, lane in enumerate(lanes) if lane.finish is None]
    with inference(model):
        if active:
            logits, state = prefill(model, [tokenizer.encode(prompts[index]) for index in active])
        while active:
            tokens = []
            for index, scores in zip(active, logits.cpu(), strict=True):
                token, piece = lanes[index].advance(scores)
                tokens.append(token)
                texts[index].append(piece)
            rows = [row for row, index in enumerate(active) if lanes[index].finish is None]
            if not rows:
                break
            if len(rows) < len(active):
                state = state.select(rows)
                active = [active[row] for row in rows]
            step = torch.tensor([[tokens[row]] for row in rows], device=logits.device)
            chunk, state = model(step, state)
            logits = chunk[:, -1]
    return [lane.result(text) for lane, text in zip(lanes, texts, strict=True)]


def inference(model: LanguageModel) -> contextlib.AbstractContextManager[None]:
    """No gradients and, for a small model, one core; both end with the block."""
    return _inference(one_core=model.num_parameters < _ONE_CORE_PARAMETERS)


@contextlib.contextmanager
def _inference(*, one_core: bool) -> Iterator[None]:
    threads = torch.get_num_threads()
    if one_core:
        torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        if one_core:
            torch.set_num_threads(threads)


def _stream(model: LanguageModel, tokenizer: TextCodec, prompt: str, lane: _Lane) -> Iterator[str]:
    if lane.finish is not None:
        return
    one_core = model.num_parameters < _ONE_CORE_PARAMETERS
    with _inference(one_core=one_core):
        logits, state = prefill(model, [tokenizer.encode(prompt)])
    while lane.finish is None:
        # Entered anew for each token: the mode must not leak into the caller between pieces.
        with _inference(one_core=one_core):
            token, piece = lane.advance(logits[0].cpu())
            if lane.finish is None:
                chunk, state = model(torch.tensor([[token]], device=logits.device), state)
                logits = chunk[:, -1]
        if piece:
            yield piece


def prefill(model: LanguageModel, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, State]:
    """Read [end] + prompt for each prompt; those of equal length together, in chunks.

    Memory does not depend on the length of a prompt. Call it under `inference`.

    Returns:
        Logits of each prompt's first new token [P, V], and the state, P lanes.
    """
    device = model.device
    groups: dict[int, list[int]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault(len(prompt), []).append(index)
    read = []
    for members in groups.values():
        ids = torch.tensor([[model.end_id, *prompts[index]] for index in members])
        state = model.fresh_state(len(members))
        features = None
        length = min(_PREFILL_TOKENS, max(1, _PREFILL_BATCH_TOKENS // len(members)))
        for start in range(0, ids.shape[1], length):
            chunk = ids[:, start : start + length].to(device)
            features, state = model.features(chunk, state)
        assert features is not None
        read.append((model.logits(features.last()), state))
    order = [index for members in groups.values() for index in members]
    places = sorted(range(len(order)), key=order.__getitem__)
    logits = torch.cat([logits for logits, _ in read])[places]
    return logits, State.concatenate([state for _, state in read]).select(places)
