"""One answer of a request as it grows."""

from __future__ import annotations

from dataclasses import dataclass, field

from flows.serving.prompts import Prompt
from lmcore.engine.ask import Ask, End, Piece


@dataclass(kw_only=True)
class Choice:
    """One answer.

    Attributes:
        index: Among those of its request.
        prompt: What it answers.
        ask: What the engine was asked.
        ends: Ids of the tokens that end it and are no part of what is said.
        pieces: That came and were not told yet.
        end: Why it ended; None: it goes on.
        tokens: Drawn so far, those that end it not counted.
        offset: Characters told so far, of the tokens whose log-probabilities are told.
        begun: Whether anything of it was told in a stream.
        said: Its text so far, in pieces.
    """

    index: int
    prompt: Prompt
    ask: Ask
    ends: frozenset[int]
    pieces: list[Piece] = field(default_factory=list)
    end: End | None = None
    tokens: int = 0
    offset: int = 0
    begun: bool = False
    said: list[str] = field(default_factory=list)
