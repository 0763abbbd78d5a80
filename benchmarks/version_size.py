"""What a version of much text stores beside its weights; and the next one, after one percent more.

    python -m benchmarks.version_size                   1 GB of text, about an hour
    python -m benchmarks.version_size --megabytes 100   less of it

The text is that of `benchmarks.corpus`, one file of JSON lines, learnt from by `lmcore run` for a
few steps.  Counted are the files of a version's folder and of the second copies that the home
keeps, each file once: what a version has in common with those before it belongs to them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import corpora
from benchmarks.corpus import append, texts, write_corpus
from benchmarks.pipeline import lmcore
from benchmarks.recording import parser, record, workspace

_MORE = 0.01
_CONFIG = """\
name: large
sources:
  - {{path: {place}, files: "*.jsonl", license: CC0-1.0, origin: made of public reviews}}
tokenizer: {{kind: bpe, vocab_size: 512}}
model: {{pattern: LA, d_model: 64, num_heads: 2, head_dim: 32, window: 32, embedding_dim: 32}}
training: {{max_steps: 20, batch_size: 8, sequence_length: 64}}
gates: {{required: [provenance], evaluation: {{free_samples: 10, resamples: 1000}}}}
"""
_WEIGHTS = "model.safetensors"


def stored(home: Path, before: set[tuple[int, int]]) -> dict[str, Any]:
    """Megabytes that came since, each file once.

    Args:
        home: Of the versions.
        before: Files that were counted; those found now are added.
    """
    megabytes = {"weights": 0.0, "documents": 0.0, "sketches": 0.0, "other": 0.0}
    copies = 0.0
    for path, is_copy in _files(home):
        state = path.stat()
        place = (state.st_dev, state.st_ino)
        if place in before:
            continue
        before.add(place)
        kind = "weights" if path.name == _WEIGHTS else path.parent.name
        if is_copy:
            copies += state.st_size / 1e6
        else:
            megabytes[kind if kind in megabytes else "other"] += state.st_size / 1e6
    beside = sum(megabytes.values()) - megabytes["weights"]
    return {
        "beside_the_weights_megabytes": round(beside, 2),
        "of_these": {kind: round(size, 2) for kind, size in megabytes.items()},
        "second_copies_megabytes": round(copies, 2),
    }


def _files(home: Path) -> Iterator[tuple[Path, bool]]:
    """Files of all versions, and whether each is a second copy."""
    for root, is_copy in ((home / "mlflow" / "artifacts" / "models", False), (home / "kept", True)):
        for path in root.rglob("*"):
            # The ledger of sides is of the home, not of a version.
            if path.is_file() and path.suffix not in {".db", ".lock"}:
                yield path, is_copy


def main() -> None:
    """Measure and write `benchmarks/results/version_size.json`."""
    options = parser(__doc__)
    options.add_argument("--megabytes", type=float, default=1000.0)
    given = options.parse_args()
    source = corpora.find("imdb/train_small.jsonl")
    if source is None:
        return
    size = 2.0 if given.quick else given.megabytes
    results: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "megabytes_of_text": size}
    with workspace("version-size") as name:
        place, home, config = Path(name) / "text", Path(name) / "home", Path(name) / "large.yaml"
        config.write_text(_CONFIG.format(place=place))
        write_corpus(place, source, size, files=False)
        before: set[tuple[int, int]] = set()
        for which in ("first", "after_one_percent_more"):
            if results.get("first"):
                append(place, texts(source, 1e6 * size * _MORE, seed=1))
            _, output = lmcore(home, "run", "--config", str(config), "--json")
            results[which] = {"outcome": json.loads(output)["outcome"], **stored(home, before)}
    record("version_size", results, given)


if __name__ == "__main__":
    main()
