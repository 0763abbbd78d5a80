"""A language for controls: easy for a network, hard for a short n-gram, made from a seed.

A word is a letter, a colour and a long common ending.  Each letter decides the next word's letter
most of the time, which a byte 8-gram cannot see across the ending, while a model that reads tokens
learns the succession within a hundred steps.  Colours are drawn at random: nobody can learn
them, but they can be learnt by heart, and they make documents of equal length about equally hard.
How often the succession holds differs by document, as real documents differ.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from lmcore.data.config import TokenizerConfig

LETTERS = "abcdefghijklmnop"
COLOURS = "ABCDEFGH"
ENDING = "rstuvw"
# The single bytes, the end token and the five merges of the ending: with more of them, whole words
# would be tokens, and there would be little left to put into a wrong order.
TOKENIZER = TokenizerConfig(vocab_size=256 + len(ENDING) - 1 + 1)
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

    def text(self, rng: random.Random, *, words: int = 40) -> str:
        """One document of so many words, eight bytes and three tokens each."""
        faithful = rng.uniform(*_FAITHFUL)
        letter, found = rng.choice(LETTERS), []
        for _ in range(words):
            found.append(letter + rng.choice(COLOURS) + ENDING)
            letter = self.follows[letter] if rng.random() < faithful else rng.choice(LETTERS)
        return "".join(found)
