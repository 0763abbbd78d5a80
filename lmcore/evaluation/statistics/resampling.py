"""How often, and from which seed, documents are drawn again: of everything that has an interval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 10_000
_SLICE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """Settings of a bootstrap; the same data and settings give the same bounds.

    Attributes:
        seed: Of the draws.
        resamples: How many samples are drawn.
        confidence: Of each of the two one-sided bounds.
    """

    seed: int = 0
    resamples: int = RESAMPLES
    confidence: float = CONFIDENCE

    def rng(self) -> np.random.Generator:
        """Random numbers of the seed."""
        return np.random.default_rng(self.seed)


STANDARD = Resampling()


def drawn_rows(
    groups: int, resamples: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int32]]:
    """Groups drawn with replacement: arrays of shape [R, groups], `resamples` rows in all.

    Memory is bounded: a slice has about a million places.
    """
    size = max(1, _SLICE // groups)
    for start in range(0, resamples, size):
        yield rng.integers(0, groups, (min(size, resamples - start), groups), dtype=np.int32)
