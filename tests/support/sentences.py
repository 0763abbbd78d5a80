"""English sentences that are no copies of one another, as many as a test wants."""

import random

_TEXT = """
the river old house early morning small garden before winter people market letter road
without any doubt their children school never again because nobody always asked whether
there would be enough bread water time after long journey over mountains into valley where
father worked many years with his brother who told us stories about sea ships storms
"""


def sentences(number: int, *, words: int = 14) -> list[str]:
    """Sentences of so many words; the same ones each time."""
    rng = random.Random(1)
    vocabulary = _TEXT.split()
    return [f"{' '.join(rng.choices(vocabulary, k=words)).capitalize()}." for _ in range(number)]
