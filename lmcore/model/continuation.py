"""One prompt's continuation: what is drawn becomes text, until something ends it.

In: token ids, one at a time.  Out: pieces of text that are certain: never half a character, never
what a stop string or a forbidden text may still take back.  It keeps no text, so that a stream's
memory is flat, and its own random generator, so that nobody beside it changes what is drawn.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from lmcore.model.filtering import FRAGMENT_CHARACTERS
from lmcore.model.sampling import Choice, GenerationConfig, draw

_PENALTY_TOKENS = 64
# Random numbers that are drawn at once: one by one each would cost as much as many.
_CHANCES = 32

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


class Continuation:
    """Decodes, and watches for the end.

    Args:
        codec: The tokenizer.
        config: How it is drawn and what ends it.
        seed: Of its random generator.
        prompt: What it continues.
    """

    def __init__(
        self, codec: TextCodec, config: GenerationConfig, *, seed: int, prompt: str
    ) -> None:
        self._config = config
        self._pieces, self._ends = codec.pieces, config.ends | {codec.end_id}
        # A forbidden text may begin in the prompt.
        self._before = prompt[1 - FRAGMENT_CHARACTERS :]
        self._pending = len(self._before)
        self._rng = torch.Generator().manual_seed(seed)
        self._chances: list[float] = []
        self._undecoded = b""
        self._recent: deque[int] = deque(maxlen=_PENALTY_TOKENS)
        self._held = ""
        self.tokens = 0
        self.finish: Finish | None = None if config.max_tokens else "length"

    def choice(self) -> Choice:
        """How its next token is to be drawn; takes a random number, so ask once a token."""
        config, chance = self._config, 0.0
        recent: Sequence[int] = ()
        if config.temperature > 0.0:
            chance = self._chance()
        if config.repetition_penalty != 1.0:
            recent = sorted(set(self._recent))
        return Choice(config=config, chance=chance, recent=recent)

    def _chance(self) -> float:
        """The next number of the generator, uniform in [0, 1)."""
        if not self._chances:
            drawn = torch.rand(_CHANCES, generator=self._rng, dtype=torch.float64)
            self._chances = drawn.flip(0).tolist()
        return self._chances.pop()

    def take(self, token: int) -> str:
        """Go on with a token; returns the text that is now certain."""
        if token in self._ends:
            self.finish = "end"
            return self._emit(self._decode(b"", final=True))
        self._recent.append(token)
        self.tokens += 1
        last = self.tokens == self._config.max_tokens
        if last:
            self.finish = "length"
        return self._emit(self._decode(self._pieces[token], final=last))

    def result(self, pieces: Iterable[str]) -> Generation:
        """The whole; a lane itself does not keep the text, so that a stream's memory is flat."""
        text = "".join(pieces)
        assert self.finish is not None
        return Generation(text=text, tokens=self.tokens, finish=self.finish)

    def _decode(self, piece: bytes, *, final: bool) -> str:
        """Characters that are whole now; a library's decoder takes five times as long for one."""
        data = self._undecoded + piece
        text, read = codecs.utf_8_decode(data, "replace", final)
        self._undecoded = data[read:]
        return text

    def _emit(self, new: str) -> str:
        """Text that no stop string can still take back."""
        text = self._held + new
        stops, forbidden = self._config.stop, self._config.forbidden
        found = _first(text, stops) if stops else -1
        keep = 0
        if forbidden is not None:
            # What ends in the new text began in it, or where something was pending.
            reach = self._pending + len(new)
            latest = (self._before + text)[-reach:] if reach else ""
            begin = forbidden.find(latest)
            if begin >= 0 and (found < 0 or begin + len(text) - reach <= found):
                self.finish, self._held = "filtered", ""
                return text[: max(0, begin + len(text) - reach)]
            self._pending = forbidden.pending(latest)
            keep = min(len(text), self._pending)
        if found >= 0:
            self.finish = "stop"
            text, self._held = text[:found], ""
        elif self.finish is None:
            if stops:
                keep = max(keep, *(_overlap(text, stop) for stop in stops))
            text, self._held = text[: len(text) - keep], text[len(text) - keep :]
        if forbidden is not None:
            self._before = (self._before + text)[1 - FRAGMENT_CHARACTERS :]
        return text


def _first(text: str, stops: Iterable[str]) -> int:
    """Where the first of these begins, -1 where there is none."""
    return min((at for at in (text.find(stop) for stop in stops) if at >= 0), default=-1)


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a proper beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)


def advance(lanes: Sequence[Continuation], logits: Tensor) -> list[tuple[int, str]]:
    """Draw the next token of each lane from logits [M, V]; tokens, and the text now certain."""
    tokens = draw(logits.cpu(), [lane.choice() for lane in lanes])
    return [(token, lane.take(token)) for lane, token in zip(lanes, tokens, strict=True)]
