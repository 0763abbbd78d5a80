"""What a text costs a model that is answering others meanwhile."""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Sequence

from lmcore.engine.ask import Ask, BusyError, Piece
from lmcore.engine.engine import Engine
from lmcore.model.sampling import GenerationConfig


def bits_of(engine: Engine, ids: Sequence[int], text: str, *, seconds: float) -> float:
    """Bits of a text, read as a document's beginning; its end is not counted.

    Args:
        engine: Of the model.
        ids: The text as tokens.
        text: As text.
        seconds: Until it must be read.

    Raises:
        BusyError: If too many wait, or it was not read in time.
        ClosedError: If the engine was closed.
    """
    said: queue.SimpleQueue[Piece] = queue.SimpleQueue()
    ask = Ask(
        prompt=ids,
        before=text,
        config=GenerationConfig(max_tokens=0),
        deliver=said.put,
        likeliest=0,
        tell_prompt=True,
        deadline=time.monotonic() + seconds,
    )
    engine.submit(ask)
    nats, end = 0.0, None
    while end is None:
        piece = said.get()
        nats -= sum(told.log_probability or 0.0 for told in piece.tokens if piece.of_prompt)
        end = piece.end
    if end != "length":
        raise BusyError(f"the text was not read ({end})")
    return nats / math.log(2)
