"""A language for controls: easy for a network, hard for a short n-gram, made from a seed.

A word is a letter and a long common ending, and each letter decides the next word's letter most of
the time.  A byte 5-gram sees only the ending, while a model that reads tokens learns the
succession within a few hundred steps.  How often the succession holds differs by document, as
real documents differ in difficulty.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

LETTERS = "abcdefghijklmnop"
ENDING = "oolioolio"
# Bounds of how often a document keeps to the succession.
_FAITHFUL = (0.85, 0.95)


@dataclass(frozen=True, kw_only=True)
class Language:
    """A succession of letters.

    Attributes:
        follows: The usual next letter of each.
    """

    follows: dict[str, str]

    @classmethod
    def draw(cls, rng: random.Random) -> Language:
        """A random succession."""
        return cls(follows=dict(zip(LETTERS, rng.sample(LETTERS, len(LETTERS)), strict=True)))

    def text(self, rng: random.Random, *, words: int = 60) -> str:
        """One document of so many words, ten bytes each."""
        faithful = rng.uniform(*_FAITHFUL)
        letter, found = rng.choice(LETTERS), []
        for _ in range(words):
            found.append(letter + ENDING)
            letter = self.follows[letter] if rng.random() < faithful else rng.choice(LETTERS)
        return " ".join(found)
