"""Answers that were given lately, so that feedback needs only an identifier.

They stay in memory, so many and so long, and do not hold the model that gave them.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from flows.registry.versions import Version
from flows.serving.refusal import RefusalError

_SECONDS = 3600.0
_MOST = 10_000
_MOST_CHARACTERS = 8 << 20


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A request that was answered; it does not hold the model.

    Attributes:
        id: Of the answer.
        version: That answered.
        client: Who asked.
        texts: What was asked, one for each output.
        outputs: What was answered.
        at: Seconds since 1970.
        judged: Indices that somebody has said something of.
    """

    id: str
    version: Version
    client: str
    texts: Sequence[str]
    outputs: Sequence[str]
    at: float = field(default_factory=time.time)
    judged: set[int] = field(default_factory=set)

    @property
    def characters(self) -> int:
        """What it takes in memory, about."""
        return sum(map(len, self.texts)) + sum(map(len, self.outputs))


class Remembered:
    """The answers of the last hour, or fewer where there are many."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, Answered] = OrderedDict()
        self._characters = 0
        self._lock = threading.Lock()

    def add(self, answered: Answered) -> None:
        """Remember an answer."""
        with self._lock:
            self._answers[answered.id] = answered
            self._characters += answered.characters
            self._forget()

    def recall(self, identity: str, index: int, model: str) -> Answered:
        """An answer that somebody judges now; nobody can a second time.

        Raises:
            RefusalError: If it is not known, or was judged before.
        """
        with self._lock:
            self._forget()
            answered = self._answers.get(identity)
            if answered is None or answered.version.model != model:
                raise RefusalError(
                    404,
                    f"no answer {identity!r} of {model} is remembered (for {_SECONDS / 60:.0f}"
                    f" minutes, or until {_MOST:,} later ones came); tell input and output instead"
                    " of id",
                    param="id",
                    code="answer_not_found",
                )
            if index >= len(answered.outputs):
                raise RefusalError(
                    400,
                    f"index={index}: the request had {len(answered.outputs)} answers",
                    param="index",
                )
            if index in answered.judged:
                raise RefusalError(
                    409,
                    "this answer was judged before; the first word stands",
                    param="id",
                    code="answer_judged",
                )
            answered.judged.add(index)
        return answered

    def _forget(self) -> None:
        oldest = time.time() - _SECONDS
        while self._answers:
            first = next(iter(self._answers.values()))
            full = len(self._answers) > _MOST or self._characters > _MOST_CHARACTERS
            if first.at > oldest and not full:
                return
            self._answers.popitem(last=False)
            self._characters -= first.characters
