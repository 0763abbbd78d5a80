"""Write notes of a harbour, a text a day, for who has no text of their own at hand.

    python examples/harbour_notes.py FOLDER [--days 240] [--after 0]

Who comes in is said at the beginning of a sentence, and its port and cargo agree with it at the
end: structure that a model of a few letters cannot see, and one that reads along can.
"""

import argparse
import random
from pathlib import Path

SHIPS = (
    "the Northern Star",
    "the Old Mariner",
    "the Grey Heron",
    "the Quiet Sister",
    "the Lantern",
)
PORTS = ("Bergen", "Lisbon", "Riga", "Antwerp", "Reykjavik")
CARGO = ("salted herring", "window glass", "roofing slate", "seed potatoes", "church bells")


def note(day: int) -> str:
    """What came in on a day; the same for the same day."""
    rng = random.Random(day)
    ship = rng.randrange(5)
    lines = []
    for hour in range(6, 20, 2):
        other = (ship + 2) % 5
        lines.append(
            f"At {hour} o'clock {SHIPS[ship]} came in from {PORTS[ship]} with {CARGO[ship]},"
            f" {rng.randrange(10, 99)} tons of it, and made way for {SHIPS[other]}."
        )
        ship = other if rng.random() < 0.7 else rng.randrange(5)
    return " ".join(lines)


def write(folder: Path, *, days: int, after: int = 0) -> None:
    """A text file for each of so many days, from one day on."""
    folder.mkdir(parents=True, exist_ok=True)
    for day in range(after, after + days):
        (folder / f"day-{day:04d}.txt").write_text(note(day) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write notes of a harbour, a text a day.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--days", type=int, default=240)
    parser.add_argument("--after", type=int, default=0, help="days that were written before")
    given = parser.parse_args()
    write(given.folder, days=given.days, after=given.after)
