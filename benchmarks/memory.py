"""How much memory preparing and training take, as the corpus grows under a fixed limit.

    python -m benchmarks.memory                         0.25 and 1 GB, about ten minutes
    python -m benchmarks.memory --gigabytes 2 8         other sizes, about eight minutes a gigabyte
    python -m benchmarks.memory --limit-megabytes 900   another limit

For each size a seeded corpus of pseudo-text is written, then a child process under the limit
ingests it, fits the tokenizer, writes shards and trains a few steps. Its anonymous memory (what
no file backs and so cannot be dropped under pressure) is sampled every 20 ms from outside.

The limit is RLIMIT_DATA: it counts private writable memory, so it stops anything that would
hold the corpus, while code, memory-mapped shards and the page cache do not count, as they need not
be resident. RLIMIT_AS would count them too; RLIMIT_RSS is ignored by Linux.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from benchmarks.process_memory import memory_of

# Documents of 0.3 to 4 kB, about 1.2 kB on average: many small documents are the hard case, as
# only documents cost memory.
_DOCUMENT_WORDS = (50, 700)
_MEAN_WORDS = 200
_VOCABULARY = 60_000
_COPY_EVERY = 50
_SAMPLE_SECONDS = 0.02
TRAINING_STEPS = 20
DEFAULT_LIMIT_MEGABYTES = 512


def documents(num_bytes: int, *, seed: int = 0) -> Iterator[str]:
    """Seeded pseudo-text: words by Zipf's law, every fiftieth document a near-copy of the last."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("etaoinshrdlucmfwypvbgkqjxz"))
    lengths = rng.integers(2, 11, _VOCABULARY)
    shape = 1.0 / np.arange(2, 28)
    words = np.array(
        ["".join(rng.choice(letters, length, p=shape / shape.sum())) for length in lengths]
    )
    weights = 1.0 / np.arange(10, _VOCABULARY + 10)
    cumulative = np.cumsum(weights / weights.sum())
    written = number = 0
    last = ""
    while written < num_bytes:
        number += 1
        if number % _COPY_EVERY == 0 and last:
            text = last + " A word more."
        else:
            size = int(np.clip(rng.exponential(_MEAN_WORDS), *_DOCUMENT_WORDS))
            picked = words[np.searchsorted(cumulative, rng.random(size), side="right")]
            text = last = " ".join(picked.tolist()).capitalize() + "."
        written += len(text) + 1
        yield text


def write_corpus(path: Path, num_bytes: int) -> int:
    """Write one document a line; returns their number."""
    count = 0
    with path.open("w", encoding="utf-8", buffering=1 << 20) as stream:
        for text in documents(num_bytes):
            stream.write(text + "\n")
            count += 1
    return count


def work(root: Path, limit_megabytes: int) -> None:
    """What the child does, announcing each stage on standard output."""

    def stage(name: str) -> None:
        print(name, flush=True)

    stage("import")
    import torch

    from lmcore.content_store import ContentStore
    from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig, TokenizerConfig
    from lmcore.data.ingest.ingest import ingest
    from lmcore.data.ingest.split import SplitLedger
    from lmcore.data.tokens.corpus import make_corpus
    from lmcore.data.tokens.tokenizer import fit_tokenizer
    from lmcore.model.config import ModelConfig
    from lmcore.training.attempt import Attempt
    from lmcore.training.config import TrainingConfig
    from lmcore.training.train import train

    torch.set_num_threads(1)
    limit = limit_megabytes << 20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    store = ContentStore(root / "store")
    stage("ingest")
    found = ingest(
        store,
        sources=[SourceConfig(path=str(root / "corpus.txt"), format="lines", license="CC0-1.0")],
        data=DataConfig(),
        policy=PolicyConfig(),
        ledger=SplitLedger(root / "splits.sqlite"),
        progress=lambda label, _: stage(f"ingest: {label}"),
    )
    stage("fit the tokenizer")
    tokenizer = fit_tokenizer(store, found, config=TokenizerConfig())
    stage("write shards")
    corpus = make_corpus(store, found, tokenizer)
    stage("train")
    train(
        Attempt(store=store, work_dir=root / "work"),
        corpus,
        model=ModelConfig(pattern="LA", d_model=64),
        training=TrainingConfig(
            max_steps=TRAINING_STEPS, batch_size=16, precision="float32", evaluations=1
        ),
    )
    stage("end")


def measure(gigabytes: float, *, limit_megabytes: int) -> dict[str, Any]:
    """One size: peak of each stage, and what the whole needed."""
    root = Path(tempfile.mkdtemp(prefix="lmcore-memory-"))
    try:
        num_documents = write_corpus(root / "corpus.txt", int(gigabytes * 1e9))
        child = subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.memory", "--child", str(root)),
                *("--limit-megabytes", str(limit_megabytes)),
            ],
            # Arrow's own allocator reserves a gigabyte of addresses, which would count, and so
            # would what the C library keeps of large blocks that were freed.
            env={
                **os.environ,
                "ARROW_DEFAULT_MEMORY_POOL": "system",
                "MALLOC_MMAP_THRESHOLD_": "131072",
                "MALLOC_ARENA_MAX": "1",
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        current, peaks, counted = ["start"], {"start": 0}, {"start": 0}
        began = {"start": time.perf_counter()}

        def follow() -> None:
            assert child.stdout is not None
            for line in child.stdout:
                current[0] = line.strip()
                began.setdefault(current[0], time.perf_counter())

        reader = threading.Thread(target=follow)
        reader.start()
        while child.poll() is None:
            name = current[0]
            resident, limited = memory_of(child.pid)
            peaks[name] = max(peaks.get(name, 0), resident)
            counted[name] = max(counted.get(name, 0), limited)
            time.sleep(_SAMPLE_SECONDS)
        reader.join()
        if child.returncode:
            raise SystemExit(
                f"{gigabytes} GB under {limit_megabytes} MiB ended with {child.returncode} in"
                f" {current[0]!r}; counted by stage: {counted}"
            )
        marks = [*began.items()]
        return {
            "corpus_bytes": (root / "corpus.txt").stat().st_size,
            "documents": num_documents,
            "peak_anonymous_mib": round(max(peaks.values()) / 2**20, 1),
            "peak_counted_mib": round(max(counted.values()) / 2**20, 1),
            "peak_by_stage_mib": {k: round(v / 2**20, 1) for k, v in peaks.items() if v},
            "counted_by_stage_mib": {k: round(v / 2**20, 1) for k, v in counted.items() if v},
            "seconds_by_stage": {
                name: round(after - start, 1)
                for (name, start), (_, after) in itertools.pairwise(marks)
            },
        }
    finally:
        shutil.rmtree(root, ignore_errors=True)


def growth(runs: list[dict[str, Any]]) -> dict[str, float]:
    """What the largest corpus needed more than the smallest, per document and per byte of text."""
    first, last = runs[0], runs[-1]
    more = (last["peak_anonymous_mib"] - first["peak_anonymous_mib"]) * 2**20
    return {
        "bytes_per_document": round(more / max(1, last["documents"] - first["documents"]), 1),
        "bytes_per_byte": round(more / max(1, last["corpus_bytes"] - first["corpus_bytes"]), 5),
    }


def main() -> None:
    """Measure and write `benchmarks/results/memory.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.25, 1.0])
    parser.add_argument("--limit-megabytes", type=int, default=DEFAULT_LIMIT_MEGABYTES)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        work(options.child, options.limit_megabytes)
        return
    runs = []
    for gigabytes in sorted(options.gigabytes):
        runs.append(measure(gigabytes, limit_megabytes=options.limit_megabytes))
        print(json.dumps(runs[-1]), flush=True)
    results = {
        "machine": describe(),
        "limit_mib": options.limit_megabytes,
        "limit": "RLIMIT_DATA",
        "runs": runs,
        "growth": growth(runs),
    }
    target = Path(__file__).parent / "results" / "memory.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results["growth"]))


if __name__ == "__main__":
    main()
