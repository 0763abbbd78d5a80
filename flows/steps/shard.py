"""What a worker is told of its share of an evaluation; who only starts flow runs reads it too."""

from __future__ import annotations

from pydantic import Field

from lmcore.settings import Section

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
