"""How many shares an evaluation has, and what a worker is told of its own.

Who only starts flow runs reads this too, and waits for nothing that computes.
"""

from __future__ import annotations

import os

from pydantic import Field

from lmcore.errors import ConfigError
from lmcore.settings import Section

SHARDS = "LMCORE_EVALUATION_SHARDS"
_MOST = 64
_KEY = "^[0-9a-f]{64}$"


class Shard(Section):
    """One share of an evaluation, as a worker of any home is told of it."""

    documents: str = Field(pattern=_KEY)
    """Key of the documents in the store that homes share; the next three likewise."""
    tokenizer: str = Field(pattern=_KEY)
    shards: str = Field(pattern=_KEY)
    checkpoint: str = Field(pattern=_KEY)
    champion: int | None
    """Version that the candidate is compared with."""
    number: int = Field(ge=0)
    """Of this share, from 0."""
    of: int = Field(ge=1)
    """Shares in all."""


def wanted_shards() -> int:
    """Shares of each evaluation.

    Raises:
        ConfigError: If the variable holds no number of them.
    """
    given = os.environ.get(SHARDS, "") or "1"
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= _MOST):
        raise ConfigError(f"{SHARDS}={given[:40]!r}: expected a number from 1 to {_MOST}")
    return int(given)
