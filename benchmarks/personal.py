"""What masking of personal data finds and leaves, and how fast it is.

    python -m benchmarks.personal           about a minute
    python -m benchmarks.personal --quick   one seed, one text

Recall and precision: the forms and near misses of `lmcore.evaluation.pii`, made up anew for each
of ten seeds, so by type 3,000 spans and 6,360 near misses; beside it the numbers of every region as
`phonenumbers` writes them.  Speed: megabytes (10^6 bytes of UTF-8) a second of processor time on
one core, the fastest of three passes over pieces of 4,000 characters: the messages of the package
`sotu`, WikiText-2 and the tweets of SemEval (which have numbers and addresses), and a table of
random numbers.

`--with MODULE` measures the speed of another module's `mask` in turns, such as that of an earlier
release; the ratio is of these turns.
"""

from __future__ import annotations

import importlib
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import corpora
from benchmarks.recording import parser, record
from benchmarks.tokenizing import sotu_texts
from lmcore.data.text.privacy import mask
from lmcore.evaluation.pii.evidence import precision, recall
from lmcore.evaluation.pii.planting import Planted, plant, plant_near_misses

SEEDS = 10
REPEATS = 3
_PIECE = 4000
_MOST_CHARACTERS = 4_000_000


def scrub(text: str) -> str:
    return mask(text).text


def texts(*, quick: bool) -> dict[str, list[str]]:
    """Each text in pieces."""
    found = {"messages": "\n".join(sotu_texts())}
    if not quick:
        for label, name in (
            ("wikitext2", "wikitext2/train.txt"),
            ("tweets", "semeval_tweets/train.tsv"),
        ):
            if (path := corpora.find(name)) is not None:
                found[label] = path.read_text(encoding="utf-8")
        rng = random.Random(0)
        found["number_table"] = " ".join(
            str(rng.randrange(10 ** rng.randrange(1, 9))) + rng.choice(("", ".5", ",", ";", "\n"))
            for _ in range(150_000)
        )
    return {
        label: [text[i : i + _PIECE] for i in range(0, min(len(text), _MOST_CHARACTERS), _PIECE)]
        for label, text in found.items()
    }


def seconds(masking: Callable[[str], Any], pieces: Sequence[str]) -> float:
    """Processor time of one pass."""
    start = time.process_time()
    for piece in pieces:
        masking(piece)
    return time.process_time() - start


def speed(pieces: Sequence[str], other: Callable[[str], Any] | None) -> dict[str, float]:
    """Megabytes a second, and the ratio to the other side."""
    megabytes = sum(len(piece.encode()) for piece in pieces) / 1e6
    own: list[float] = []
    beside: list[float] = []
    for _ in range(REPEATS):
        own.append(seconds(mask, pieces))
        if other is not None:
            beside.append(seconds(other, pieces))
    found = {"megabytes": megabytes, "megabytes_a_second": megabytes / min(own)}
    if beside:
        found |= {"other": megabytes / min(beside), "ratio": min(beside) / min(own)}
    return found


def found_and_left(seeds: int) -> dict[str, Any]:
    """Recall by type, the forms that are missed most, and precision."""
    planted = [item for seed in range(seeds) for item in plant(seed)]
    near = [item for seed in range(seeds) for item in plant_near_misses(seed)]
    left, wrong = precision(scrub, near)
    missed: Counter[str] = Counter()
    for item in planted:
        if not item.masked_in(scrub(item.text)):
            missed[f"{item.kind} {item.region}"] += 1
    return {
        "recall": {kind: found.to_json() for kind, found in recall(scrub, planted).items()},
        "missed": dict(missed.most_common(10)),
        "precision": {**left.to_json(), "wrong": wrong},
        "library_formats": _library_formats(),
    }


def _library_formats() -> dict[str, Any]:
    """Numbers of every region as the library writes them, in a sentence without any label."""
    import phonenumbers

    kinds = (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE)
    forms = {
        "international": phonenumbers.PhoneNumberFormat.INTERNATIONAL,
        "national": phonenumbers.PhoneNumberFormat.NATIONAL,
    }
    found = {}
    for name, form in forms.items():
        for before in ("He wrote ", "Tel. "):
            items = [
                Planted(
                    kind="PHONE",
                    before=before,
                    span=phonenumbers.format_number(number, form),
                    after=" there.",
                )
                for region in sorted(phonenumbers.SUPPORTED_REGIONS)
                for kind in kinds
                if (number := phonenumbers.example_number_for_type(region, kind)) is not None
            ]
            found[f"{name}, behind {before.strip()!r}"] = recall(scrub, items)["PHONE"].to_json()
    return found


def main() -> None:
    """Measure and write `benchmarks/results/personal.json`."""
    options = parser(__doc__)
    options.add_argument("--with", dest="beside", metavar="MODULE", help="measured in turns")
    given = options.parse_args()
    other = importlib.import_module(given.beside).mask if given.beside else None
    mask("Tel. 030 1234567, +49 30 1234567")  # the plans are loaded once
    results = {
        "what": "masking of personal data: share found and left, MB of text a second",
        **found_and_left(1 if given.quick else SEEDS),
        "speed": {
            label: speed(pieces, other) for label, pieces in texts(quick=given.quick).items()
        },
    }
    record("personal", results, given)


if __name__ == "__main__":
    main()
