"""Ingest and tokenizing: speed, memory and growth with the corpus, and what one percent more costs.

    python -m benchmarks.corpus                    about a quarter of an hour
    python -m benchmarks.corpus --sizes 20 80      other sizes, in MB
    python -m benchmarks.corpus --datatrove PYTHON another quarter of an hour

The corpus is made of the public reviews (`imdb`): their sentences shuffled, and three words in ten
replaced by others of them, so that no two texts are copies.  It is one file of JSON lines, or as
many files as there are texts.  Each point is a process of its own in an empty home: fingerprint,
ingest, a tokenizer of 1,024 pieces, shards.  Peak memory is that of the process and of the largest
one that it began; the former also without mapped files, which the system may drop.

`one_percent_more`: the same home again after one percent was appended, with the tokenizer of before
(as `start: champion` keeps it), and with one that is fitted anew; beside the first time.

`beside_datatrove`: the same text read, compared by MinHash and cut by the same tokenizer, in turn
with datatrove, whose four stages run on all cores with its defaults.  Its readers share files out,
so it is given one a core; ours reads one.  Ours also cleans, folds, masks, tells languages and
splits.  `--datatrove` names the interpreter of an environment that holds `datatrove[processing]`;
without one there is one side.

The exponent is the slope of log seconds over log bytes of text, by least squares.
"""

from __future__ import annotations

import json
import math
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import corpora
from benchmarks.arithmetic import spread
from benchmarks.process_memory import Watch, peak_megabytes
from benchmarks.recording import NOT_RUN, in_child, parser, record, workspace

SIZES = (50.0, 200.0, 800.0)
# Share of words that are replaced.
_REPLACED = 0.3
_MORE = 0.01
# Seconds between two looks at memory.
_EVERY = 0.1
# Beside datatrove, in MB.
_BESIDE = 24.0
_TURNS = 3
_DATATROVE = """
import importlib.metadata, json, os, sys, time
from pathlib import Path
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster
from datatrove.pipeline.dedup import MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer
text, work, tokenizer = sys.argv[1:]
cores, config = len(os.sched_getaffinity(0)), MinhashConfig()
def run(name, pipeline, tasks):
    LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=min(tasks, cores),
                          logging_dir=f"{work}/logs-{name}").run()
if __name__ == "__main__":
    start = time.perf_counter()
    run("signatures", [JsonlReader(text),
                       MinhashDedupSignature(f"{work}/signatures", config=config)], cores)
    run("buckets", [MinhashDedupBuckets(f"{work}/signatures", f"{work}/buckets",
                                        config=config)], config.num_buckets)
    run("clusters", [MinhashDedupCluster(f"{work}/buckets", f"{work}/removed",
                                         config=config)], 1)
    run("tokens", [JsonlReader(text), MinhashDedupFilter(f"{work}/removed"),
                   DocumentTokenizer(f"{work}/tokens", tokenizer, shuffle_documents=False)], cores)
    seconds = time.perf_counter() - start
    size = sum(file.stat().st_size for file in Path(work, "tokens").glob("*.ds"))
    print(json.dumps({"version": importlib.metadata.version("datatrove"), "seconds": seconds,
                      "tokens": size // 2}))
"""


def texts(source: Path, num_bytes: float, *, seed: int) -> Iterator[str]:
    """Texts of so many bytes together."""
    rng = random.Random(seed)
    with source.open(encoding="utf-8") as lines:
        reviews = [json.loads(line)["text"] for line in lines]
    words = sorted({word for review in reviews[:2000] for word in review.split()})
    written = 0
    while True:
        for review in reviews:
            sentences = review.split(". ")
            rng.shuffle(sentences)
            kept = ". ".join(sentences).split()
            text = " ".join(rng.choice(words) if rng.random() < _REPLACED else w for w in kept)
            yield text
            written += len(text.encode())
            if written >= num_bytes:
                return


def write_corpus(place: Path, source: Path, megabytes: float, *, files: bool) -> None:
    """One file of JSON lines, or a file for each text."""
    place.mkdir()
    found = texts(source, 1e6 * megabytes, seed=0)
    if files:
        for number, text in enumerate(found):
            folder = place / f"{number // 1000:05}"
            folder.mkdir(exist_ok=True)
            (folder / f"{number:08}.txt").write_text(text, encoding="utf-8")
        return
    append(place, found)


def append(place: Path, found: Iterator[str]) -> None:
    """Add texts to the one file."""
    with (place / "texts.jsonl").open("a", encoding="utf-8") as lines:
        for text in found:
            lines.write(json.dumps({"text": text}) + "\n")


def prepare(home: Path, place: Path, *, adopt: str | None) -> dict[str, Any]:
    """What a run does before its first training step; seconds of each step.

    Args:
        home: Of content and ledger.
        place: Of the corpus.
        adopt: Folder of a tokenizer to be kept; None: one is fitted.
    """
    from lmcore.content_store import ContentStore
    from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig, TokenizerConfig
    from lmcore.data.ingest.ingest import fingerprint_sources, ingest
    from lmcore.data.ingest.split import SplitLedger
    from lmcore.data.tokens.borrowing import adopt_tokenizer
    from lmcore.data.tokens.corpus import make_corpus
    from lmcore.data.tokens.tokenizer import fit_tokenizer

    store, seconds = ContentStore(home / "content"), {}
    config = TokenizerConfig(kind="bpe", vocab_size=1024)
    sources = [SourceConfig(path=str(place))]
    clock = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        seconds[name], clock = round(now - clock, 2), now

    with Watch(_EVERY) as watch:
        fingerprint = fingerprint_sources(sources)
        lap("fingerprint")
        documents = ingest(
            store,
            sources=sources,
            data=DataConfig(unit="file"),
            policy=PolicyConfig(),
            ledger=SplitLedger(home / "split.sqlite"),
            fingerprint=fingerprint,
        )
        lap("ingest")
        if adopt is None:
            tokenizer = fit_tokenizer(store, documents, config=config)
        else:
            tokenizer = adopt_tokenizer(store, documents, config=config, folder=Path(adopt))
        lap("tokenizer")
        make_corpus(store, documents, tokenizer)
        lap("shards")
    total, text = sum(seconds.values()), documents.summary["bytes"]
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    return {
        "documents": documents.summary["documents"],
        "text_bytes": text,
        "seconds": {**seconds, "all": round(total, 2)},
        "megabytes_per_second": round(text / 1e6 / total, 2),
        "peak_megabytes": round(peak_megabytes()),
        "peak_anonymous_megabytes": round(watch.anonymous / 1e6),
        "largest_child_megabytes": round(largest),
    }


def exponent(points: Sequence[dict[str, Any]]) -> float:
    """Slope of log seconds over log bytes."""
    x = [math.log(point["text_bytes"]) for point in points]
    y = [math.log(point["seconds"]["all"]) for point in points]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return round(above / sum((a - mean_x) ** 2 for a in x), 3)


def measured(place: Path, home: Path, *, adopt: str | None = None) -> dict[str, Any]:
    """`prepare` in a process of its own."""
    point = {"home": str(home), "place": str(place), "adopt": adopt}
    found: dict[str, Any] = in_child("benchmarks.corpus", point)
    print(json.dumps(found), file=sys.stderr, flush=True)
    return found


def tokenizer_of(home: Path) -> str:
    """The folder of the one that was fitted in a home."""
    (found,) = (home / "content" / "tokenizer").glob("[!.]*")
    return str(found)


def grown(folder: Path, source: Path, megabytes: float) -> dict[str, Any]:
    """The first time, and after one percent was appended."""
    place, home = folder / "grown", folder / "home-grown"
    write_corpus(place, source, megabytes, files=False)
    home.mkdir()
    first = measured(place, home)
    append(place, texts(source, 1e6 * megabytes * _MORE, seed=1))
    kept = measured(place, home, adopt=tokenizer_of(home))
    append(place, texts(source, 1e6 * megabytes * _MORE, seed=2))
    fitted = measured(place, home)
    return {
        "first": first,
        "tokenizer_kept": kept,
        "tokenizer_fitted_anew": fitted,
        "share_of_the_first": {
            "tokenizer_kept": round(kept["seconds"]["all"] / first["seconds"]["all"], 3),
            "tokenizer_fitted_anew": round(fitted["seconds"]["all"] / first["seconds"]["all"], 3),
        },
    }


def beside(python: Path | None, folder: Path, source: Path, *, quick: bool) -> dict[str, Any]:
    """Seconds of datatrove and ours for the same text, in turn."""
    place, parted = folder / "beside", folder / "beside-parted"
    write_corpus(place, source, 2.0 if quick else _BESIDE, files=False)
    cores, lines = len(os.sched_getaffinity(0)), (place / "texts.jsonl").read_text().splitlines()
    parted.mkdir()
    for number in range(cores):
        part = "\n".join(lines[number::cores]) + "\n"
        (parted / f"{number}.jsonl").write_text(part)
    (folder / "home-beside").mkdir()
    measured(place, folder / "home-beside")
    tokenizer = tokenizer_of(folder / "home-beside")
    if python is None:
        return {"datatrove": NOT_RUN}
    ours, theirs = [], []
    told: dict[str, Any] = {}
    for turn in range(1 if quick else _TURNS):
        home, work = folder / f"home-beside-{turn}", folder / f"datatrove-{turn}"
        home.mkdir()
        ours.append(measured(place, home, adopt=tokenizer)["seconds"]["all"])
        script = folder / "datatrove_side.py"
        script.write_text(_DATATROVE)
        done = subprocess.run(
            [str(python), str(script), str(parted), str(work), f"{tokenizer}/tokenizer.json"],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"datatrove ended with {done.returncode}: {done.stderr[-2000:]}")
        told = json.loads(done.stdout.splitlines()[-1])
        theirs.append(told["seconds"])
    return {
        "megabytes": 2.0 if quick else _BESIDE,
        "datatrove": {**told, "seconds": spread(theirs)},
        "ours_seconds": spread(ours),
        "speed_over_datatrove": spread([b / a for a, b in zip(ours, theirs, strict=True)]),
    }


def main() -> None:
    """Measure and write `benchmarks/results/corpus.json`."""
    options = parser(__doc__)
    options.add_argument("--sizes", nargs="+", type=float, default=list(SIZES), help="in MB")
    options.add_argument("--datatrove", type=Path, help="Python of an environment with it")
    options.add_argument("--point", help="what a process of its own is given")
    given = options.parse_args()
    if given.point:
        point = json.loads(given.point)
        answer = prepare(Path(point["home"]), Path(point["place"]), adopt=point["adopt"])
        print(json.dumps(answer))
        return
    source = corpora.find("imdb/train_small.jsonl")
    if source is None:
        return
    sizes = [2.0, 4.0] if given.quick else given.sizes
    results: dict[str, Any] = {"cores": len(os.sched_getaffinity(0))}
    with workspace("corpus") as name:
        folder = Path(name)
        for kind in ("one_file", "many_files"):
            points = []
            for size in sizes if kind == "one_file" else sizes[:2]:
                place, home = folder / f"{kind}-{size}", folder / f"home-{kind}-{size}"
                write_corpus(place, source, size, files=kind == "many_files")
                home.mkdir()
                points.append(measured(place, home))
            results[kind] = {"points": points, "exponent": exponent(points)}
        results["beside_datatrove"] = beside(given.datatrove, folder, source, quick=given.quick)
        results["one_percent_more"] = grown(folder, source, sizes[min(1, len(sizes) - 1)])
    record("corpus", results, given)


if __name__ == "__main__":
    main()
