"""What an engine is asked, and what it says: the words between it and whoever serves.

In: a prompt as token ids with its settings.  Out: pieces of text as they become certain, with the
tokens behind them; the last one says why there are no more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lmcore.errors import LmcoreError
from lmcore.model.sampling import GenerationConfig

#: As of a continuation; `cancelled`: whoever asked went away; `late`: it took too long; `failed`.
End = Literal["end", "length", "stop", "filtered", "cancelled", "late", "failed"]


class BusyError(LmcoreError):
    """As many wait already as may; nothing was begun."""


class ClosedError(LmcoreError):
    """The engine takes no more requests; nothing was begun."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """One token and how likely it was, before any filter.

    Attributes:
        token: Id.
        log_probability: Natural logarithm, at temperature 1; None for the first of a text that
            nothing stands before.
        likeliest: Ids and log-probabilities of the likeliest tokens in its place.
    """

    token: int
    log_probability: float | None
    likeliest: tuple[tuple[int, float], ...] = ()


class Piece(NamedTuple):
    """What is new; made for each token, so it is a tuple.

    Attributes:
        text: Text that is certain now.
        tokens: Tokens that were drawn for it, the end token included; those of the prompt where
            they were asked for.
        end: Why nothing follows; None: more follows.
        of_prompt: Whether the tokens are the prompt's.
    """

    text: str = ""
    tokens: tuple[Told, ...] = ()
    end: End | None = None
    of_prompt: bool = False


@dataclass(kw_only=True, eq=False)
class Ask:
    """One continuation that somebody waits for.

    Attributes:
        prompt: Ids, without the end token that every document starts with.
        begins: Whether that token is read before them; a conversation has its own beginning.
        before: The prompt as text; a forbidden text may begin in it.
        config: How it is drawn; `seed` is its own.
        deliver: Given each piece, in the engine's thread; must return at once.
        whole: Nobody looks at an answer before its end, so what is drawn comes in one piece.
        likeliest: How many of the likeliest tokens are told for each one; None: no log-probability
            is told.
        tell_prompt: Whether the prompt's tokens are told too, where it begins a document.
        shared_with: Who may learn from its speed that a prompt was read before: those of one name.
        deadline: Of `time.monotonic`; it ends `late` then.
        asked_at: Of `time.monotonic`.
        first_at: When its first token was drawn; None before.
    """

    prompt: Sequence[int]
    before: str
    config: GenerationConfig
    deliver: Callable[[Piece], None]
    whole: bool = False
    begins: bool = True
    likeliest: int | None = None
    tell_prompt: bool = False
    shared_with: str = ""
    deadline: float = float("inf")
    asked_at: float = field(default_factory=time.monotonic)
    first_at: float | None = None
    _gone: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Nobody waits any more: its lane is free at the next token."""
        self._gone.set()

    def over(self, now: float) -> End | None:
        """Why it must not go on, if so."""
        if self._gone.is_set():
            return "cancelled"
        return "late" if now > self.deadline else None
