"""Near-copies: what clustering costs a document, and what it finds, beside datatrove's MinHash.

    python -m benchmarks.copies --datatrove PYTHON       about 15 minutes
    python -m benchmarks.copies --documents 1e8          another number; 100 million take an hour

Cost: seeded signatures and sketches of so many documents are clustered in a process of its own on
one core, with the memory of an ingest, with a sixteenth of it, and (the smallest number) with that
as on a machine that cannot keep the signatures in memory.  Every fifth document is a near-copy of
any other one, one in a hundred shares a header with all others that do.  Anonymous memory (what no
file backs, so that it cannot be dropped) and files without a name are looked at every 20 ms.  What
was joined is compared with what was planted.

Found: real reviews (`imdb`) are edited, one copy of each (`benchmarks.planted_edits`); PYTHON is an
interpreter of an environment that holds `datatrove[processing]`; without one there is one side.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.planted_edits import planted_edits
from benchmarks.process_memory import Watch, memory_of
from benchmarks.recording import in_child, parser, record, workspace
from lmcore.data.config import DataConfig
from lmcore.data.copies.clustering import cluster
from lmcore.data.copies.containment import Hashes, contained
from lmcore.data.copies.deduplication import NUM_MINIMA, SIGNATURE_BYTES, Signatures
from lmcore.data.copies.scratch import MEMORY, Scratch

DOCUMENTS = (1e6, 1e7)
# Of documents of some 230 words.
SKETCH_HASHES = 14
_WORDS = NUM_MINIMA // 4
_COPY_EVERY = 5
_CHANGED_MINIMA, _CHANGED_HASHES = 12, 2
_HEADER_SHARE = 0.01
_BLOCK = 1 << 15

Numbers = npt.NDArray[np.uint64]


def mixed(values: Numbers) -> Numbers:
    """Numbers that look drawn by chance, each a function of one value (splitmix64)."""
    values = values * np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def originals(rows: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    """For each document the one that it is a copy of: itself, but for every fifth."""
    drawn = mixed(rows.astype(np.uint64) + np.uint64(1 << 40)) % np.uint64(total)
    found = drawn.astype(np.int64)
    found -= found % _COPY_EVERY == _COPY_EVERY - 1
    return np.where(rows % _COPY_EVERY == _COPY_EVERY - 1, found, rows)


def numbers(
    start: int, stop: int, total: int, *, each: int, salt: int
) -> tuple[Numbers, npt.NDArray[np.int64]]:
    """So many numbers of each document, those of a copy from its original; and the copies."""
    found = originals(np.arange(start, stop), total).astype(np.uint64)
    places = found[:, None] * np.uint64(each) + np.arange(each, dtype=np.uint64)
    copies = np.flatnonzero(found != np.arange(start, stop, dtype=np.uint64))
    return mixed(places + (np.uint64(salt) << np.uint64(48))), copies


def header(start: int, stop: int) -> npt.NDArray[np.bool_]:
    """Which documents share the header."""
    rows = np.arange(start, stop, dtype=np.uint64) + np.uint64(1 << 41)
    return mixed(rows) < np.uint64(int(_HEADER_SHARE * 2**64))


def blocks(total: int) -> Iterator[tuple[int, int]]:
    """Cuts of all documents."""
    for start in range(0, total, _BLOCK):
        yield start, min(start + _BLOCK, total)


def write_signatures(path: Path, total: int) -> None:
    """The signature of each document, one after the other."""
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for start, stop in blocks(total):
            words, copies = numbers(start, stop, total, each=_WORDS, salt=1)
            minima = words.view(np.uint16)
            places = rng.integers(0, NUM_MINIMA, (len(copies), _CHANGED_MINIMA))
            minima[copies[:, None], places] = rng.integers(0, 1 << 16, places.shape)
            words[header(start, stop), :2] = 7
            file.write(words.tobytes())


def sketches(total: int) -> Iterator[Hashes]:
    """The sketch of each document."""
    rng = np.random.default_rng(1)
    for start, stop in blocks(total):
        words, copies = numbers(start, stop, total, each=SKETCH_HASHES, salt=2)
        hashes = (words >> np.uint64(36)).astype(np.uint32)
        places = rng.integers(0, SKETCH_HASHES, (len(copies), _CHANGED_HASHES))
        hashes[copies[:, None], places] = rng.integers(0, 1 << 28, places.shape)
        shared = np.arange(6, dtype=np.uint32)
        hashes[header(start, stop), :6] = shared
        yield np.repeat(np.arange(start, stop), SKETCH_HASHES), hashes.ravel()


class Clock:
    """Seconds on the clock, and of the processor, between two looks."""

    def __init__(self) -> None:
        self._last = time.perf_counter(), time.process_time()

    def lap(self) -> tuple[float, float]:
        """Since the last look."""
        now = time.perf_counter(), time.process_time()
        before, self._last = self._last, now
        return now[0] - before[0], now[1] - before[1]


def measure(point: dict[str, Any]) -> dict[str, Any]:
    """Cluster what lies in a folder."""
    folder, total = Path(point["folder"]), int(point["documents"])
    mapped = np.memmap(folder / "signatures.bin", dtype=np.uint16, mode="r")
    signatures: Signatures = mapped.reshape(-1, NUM_MINIMA)
    data = DataConfig()
    scratch = Scratch(folder, memory=point["memory"], cache=point["cache"])
    order = scratch.array(total, np.uint64)
    for start, stop in blocks(total):
        order[start:stop] = mixed(np.arange(start, stop, dtype=np.uint64) + np.uint64(1 << 42))
    drawn = Clock()
    for _ in sketches(total):
        pass
    drawing = drawn.lap()
    before = memory_of(os.getpid())[0]
    watches = Watch(), Watch()
    pairs = right = 0
    clock, laps = Clock(), list[tuple[float, float]]()

    def of_sketches() -> Iterator[tuple[Any, Any]]:
        nonlocal pairs, right
        share = data.near_duplicate_containment
        with watches[0]:
            for left, other in contained(sketches(total), total, share=share, scratch=scratch):
                pairs += len(left)
                planted = (originals(left, total) == other) | (originals(other, total) == left)
                right += int(planted.sum())
                yield left, other
        laps.append(clock.lap())
        watches[1].__enter__()

    found = cluster(
        signatures,
        order,
        similarity=data.near_duplicate_similarity,
        scratch=scratch,
        contained=of_sketches(),
    )
    laps.append(clock.lap())
    watches[1].__exit__(None, None, None)
    joined = apart = 0
    for start, stop in blocks(total):
        rows = np.arange(start, stop)
        root = np.asarray(found.roots[start:stop])
        joined += int((root != rows).sum())
        apart += int((root != found.roots[originals(rows, total)]).sum())
    copies = total // _COPY_EVERY
    return {
        "documents": total,
        "memory_given_mib": round(point["memory"] / 2**20, 1),
        "signatures_kept_by_the_system": point["cache"] is None,
        # Drawing the sketches is none of ours.
        "sketches": _costs(watches[0], laps[0], total, before=before, less=drawing)
        | {"pairs": pairs, "planted_pairs_found": round(right / copies, 4)},
        "signatures": _costs(watches[1], laps[1], total, before=before)
        | {"pairs": found.pairs - pairs},
        "copies_apart": apart,
        # A family has as many rows that are not its root as it has copies.
        "wrongly_joined": joined - (copies - apart),
    }


def _costs(
    watch: Watch,
    lap: tuple[float, float],
    total: int,
    *,
    before: int,
    less: tuple[float, float] = (0.0, 0.0),
) -> dict[str, Any]:
    seconds, processor = lap[0] - less[0], lap[1] - less[1]
    return {
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor, 2),
        "processor_microseconds_per_document": round(1e6 * processor / total, 2),
        "anonymous_mib_before": round(before / 2**20, 1),
        "peak_anonymous_mib": round(watch.anonymous / 2**20, 1),
        "peak_disk_bytes_per_document": round(watch.nameless / total, 1),
    }


def scale(counts: list[int], memories: list[int]) -> list[dict[str, Any]]:
    """Every number of documents with each memory."""
    found = []
    ways: list[tuple[int, int | None]] = [(memory, None) for memory in memories]
    for total in counts:
        with workspace("copies") as name:
            write_signatures(Path(name) / "signatures.bin", total)
            # The last, of the smallest number, as if the system did not keep the signatures.
            for memory, cache in [*ways, (memories[-1], 0)] if total == min(counts) else ways:
                point = {"folder": name, "documents": total, "memory": memory, "cache": cache}
                found.append(in_child("benchmarks.copies", point, threads=1))
                print(json.dumps(found[-1]), flush=True)
    return found


def main() -> None:
    """Measure and write `benchmarks/results/copies.json`."""
    options = parser(__doc__)
    options.add_argument("--datatrove", type=Path, help="Python of an environment with it")
    options.add_argument("--documents", nargs="+", type=float, default=list(DOCUMENTS))
    options.add_argument("--point", help="measure one point, as JSON; for the child processes")
    given = options.parse_args()
    if given.point:
        print(json.dumps(measure(json.loads(given.point))))
        return
    counts = [20_000] if given.quick else [int(number) for number in given.documents]
    memories = [MEMORY, MEMORY // 16]
    results = {
        "signature_bytes_per_document": SIGNATURE_BYTES,
        "sketch_hashes_per_document": SKETCH_HASHES,
        "scale": scale(counts, memories if not given.quick else [MEMORY, 1 << 19]),
        "planted_edits": planted_edits(given.datatrove, quick=given.quick),
    }
    record("copies", results, given)


if __name__ == "__main__":
    main()
