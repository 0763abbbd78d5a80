"""Recall and precision of near-copies on edits that were planted into real text.

In: the public reviews (`imdb`), each of which gets one copy, edited in one way.  Out: the share of
copies that are in one cluster with their original, by edit, and the share of all pairs in one
cluster that are near-copies, of our clustering and of datatrove's MinHash (its defaults) on the
same texts in the same run, one process each.

The reviews have near-copies of their own.  A pair that nobody planted counts as one where at least
half of the distinct runs of five words of one review are in the other, counted exactly.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpora
from benchmarks.recording import NOT_RUN, workspace
from lmcore.data.config import DataConfig
from lmcore.data.copies.clustering import cluster
from lmcore.data.copies.containment import contained
from lmcore.data.copies.deduplication import NUM_MINIMA, SignatureBatch, sketch
from lmcore.data.copies.forest import Forest, groups
from lmcore.data.copies.scratch import Scratch
from lmcore.data.copies.shingles import folded_shingles
from lmcore.data.text.cleaning import document_id
from lmcore.data.text.folding import fold

RATES = (0.01, 0.03, 0.05, 0.1, 0.2)
KEPT = (0.9, 0.75, 0.5, 0.25)
_CONTAINED = 0.5
_OTHERS = 1000
_WORD = re.compile(r"\w+")
_DATATROVE = """
import importlib.metadata, json, sys, time
from datatrove.data import Document
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
folder = sys.argv[1]
with open(folder + "/texts.json", encoding="utf-8") as file:
    texts = json.load(file)
config = MinhashConfig()
signatures = MinhashDedupSignature(folder + "/signatures", config=config)
signatures.get_shingles("One text of a few words, so that what is loaded once is loaded.")
start = time.perf_counter()
signatures.run((Document(text=t, id=str(i)) for i, t in enumerate(texts)), 0, 1)
for bucket in range(config.num_buckets):
    MinhashDedupBuckets(folder + "/signatures", folder + "/buckets", config=config).run(
        None, bucket, config.num_buckets)
MinhashDedupCluster(folder + "/buckets", folder + "/removed", config=config).run(None, 0, 1)
seconds = time.perf_counter() - start
print(json.dumps({"version": importlib.metadata.version("datatrove"), "config": str(config),
                  "seconds": seconds}))
"""

Edit = Callable[[list[str], random.Random, list[str]], list[str]]
Pairs = set[tuple[int, int]]


def _inserted(rate: float) -> Edit:
    def edit(words: list[str], rng: random.Random, others: list[str]) -> list[str]:
        edited = list(words)
        for _ in range(_number(words, rate)):
            edited.insert(rng.randrange(len(edited) + 1), rng.choice(others))
        return edited

    return edit


def _deleted(rate: float) -> Edit:
    def edit(words: list[str], rng: random.Random, others: list[str]) -> list[str]:
        gone = set(rng.sample(range(len(words)), _number(words, rate)))
        return [word for place, word in enumerate(words) if place not in gone]

    return edit


def _substituted(rate: float) -> Edit:
    def edit(words: list[str], rng: random.Random, others: list[str]) -> list[str]:
        gone = set(rng.sample(range(len(words)), _number(words, rate)))
        return [rng.choice(others) if place in gone else word for place, word in enumerate(words)]

    return edit


def _number(words: list[str], rate: float) -> int:
    return max(1, round(rate * len(words)))


def edits() -> dict[str, Edit]:
    """Every way in which a copy is edited."""
    found: dict[str, Edit] = {}
    for name, make in (
        ("words inserted", _inserted),
        ("words deleted", _deleted),
        ("words substituted", _substituted),
    ):
        found |= {f"{rate:.0%} of {name}": make(rate) for rate in RATES}
    found["upper case"] = lambda words, rng, others: [word.upper() for word in words]
    found["capitals at random"] = lambda words, rng, others: [
        word.swapcase() if rng.random() < 0.5 else word for word in words
    ]
    for kept in KEPT:
        found[f"first {kept:.0%}"] = lambda words, rng, others, kept=kept: words[
            : math.ceil(kept * len(words))
        ]
    # As much other text around it as there is of it.
    found["inside a text of twice its length"] = lambda words, rng, others: (
        _run(others, len(words) // 2, rng) + words + _run(others, len(words) - len(words) // 2, rng)
    )
    return found


def _run(others: list[str], length: int, rng: random.Random) -> list[str]:
    """Running words of other reviews."""
    start = rng.randrange(len(others) - length)
    return others[start : start + length]


def ours(texts: Sequence[str], folder: Path) -> tuple[Pairs, float]:
    """Pairs of texts in one cluster, and seconds."""
    data, start = DataConfig(), time.perf_counter()
    batch, path, samples = SignatureBatch(), folder / "signatures.bin", []
    with path.open("wb") as file:
        for row, text in enumerate(texts):
            hashes = folded_shingles(fold(text))
            file.write(batch.add(hashes))
            sample = sketch(hashes)
            samples.append((np.full(len(sample), row), sample))
        file.write(batch.flush())
    ids = [int(document_id(text)[:16], 16) for text in texts]
    scratch = Scratch(folder)
    found = cluster(
        np.memmap(path, dtype=np.uint16, mode="r").reshape(-1, NUM_MINIMA),
        np.array(ids, dtype=np.uint64),
        similarity=data.near_duplicate_similarity,
        scratch=scratch,
        contained=contained(
            samples,
            len(texts),
            share=data.near_duplicate_containment,
            scratch=scratch,
        ),
    )
    seconds = time.perf_counter() - start
    return _pairs(groups(found.roots, scratch)), seconds


def datatrove(python: Path, texts: Sequence[str], folder: Path) -> tuple[Pairs, dict[str, Any]]:
    """Pairs of texts in one cluster, and what it says of itself."""
    (folder / "texts.json").write_text(json.dumps(list(texts)), encoding="utf-8")
    done = subprocess.run(
        [str(python), "-c", _DATATROVE, str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"datatrove ended with {done.returncode}: {done.stderr[-2000:]}")
    forest, scratch = Forest(len(texts), Scratch(folder)), Scratch(folder)
    for file in sorted((folder / "buckets").rglob("*.dups")):
        # File and number of two documents; there is one file.
        rows = np.fromfile(file, dtype="<u4").reshape(-1, 4)[:, [1, 3]].astype(np.int64)
        forest.join(rows[:, 0], rows[:, 1])
    return _pairs(groups(forest.roots(), scratch)), json.loads(done.stdout.splitlines()[-1])


def _pairs(clusters: Any) -> Pairs:
    return {pair for rows in clusters for pair in itertools.combinations(rows.tolist(), 2)}


def contains(one: str, other: str) -> bool:
    """Whether at least half of the runs of five words of one text are in the other, exactly."""
    left, right = (
        set(zip(*(words[i:] for i in range(5)), strict=False))
        for words in (_WORD.findall(text.lower()) for text in (one, other))
    )
    smaller = min(len(left), len(right))
    return bool(smaller) and len(left & right) >= _CONTAINED * smaller


def judged(found: Pairs, texts: Sequence[str], planted: dict[str, Pairs]) -> dict[str, Any]:
    """Recall by edit, and precision."""
    wanted = set().union(*planted.values())
    others = found - wanted
    own = {pair for pair in others if contains(texts[pair[0]], texts[pair[1]])}
    right = len(found & wanted) + len(own)
    return {
        "recall": {
            name: round(len(found & pairs) / len(pairs), 4) for name, pairs in planted.items()
        },
        "recall_of_all": round(len(found & wanted) / len(wanted), 4),
        "precision": round(right / len(found), 5) if found else None,
        "pairs": len(found),
        "copies_that_nobody_planted": len(own),
        "wrong_pairs": len(others) - len(own),
    }


def planted_edits(python: Path | None, *, quick: bool) -> dict[str, Any] | str:
    """Both sides on the same texts.

    Args:
        python: Of an environment with datatrove; None: our side alone.
        quick: A few texts.
    """
    source = corpora.find("imdb/train_small.jsonl")
    if source is None:
        return NOT_RUN
    with source.open(encoding="utf-8") as lines:
        reviews = sorted({json.loads(line)["text"].replace("<br />", "\n") for line in lines})
    rng = random.Random(0)
    rng.shuffle(reviews)
    # Words that are put in are those of reviews that are not in the corpus themselves.
    others = [word for review in reviews[:_OTHERS] for word in review.split()]
    reviews = reviews[_OTHERS : _OTHERS + 300] if quick else reviews[_OTHERS:]
    texts, planted = list(reviews), {name: set[tuple[int, int]]() for name in edits()}
    for (name, edit), row in zip(itertools.cycle(edits().items()), range(len(reviews))):
        planted[name].add((row, len(texts)))
        texts.append(" ".join(edit(reviews[row].split(), rng, others)))
    results: dict[str, Any] = {
        "documents": len(texts),
        "words_of_an_original": round(len(others) / _OTHERS),
        "copies_of_each_edit": min(map(len, planted.values())),
        "datatrove": NOT_RUN,
    }
    with workspace("edits") as name:
        found, seconds = ours(texts, Path(name))
        results["lmcore"] = judged(found, texts, planted) | {"seconds": round(seconds, 2)}
        if python is not None:
            found, told = datatrove(python, texts, Path(name))
            results["datatrove"] = judged(found, texts, planted) | told
    return results
