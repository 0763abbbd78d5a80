"""Sentiment, translation and summarization on public data, beside their baselines.

    python -m benchmarks.tasks                       all of it: about three hours
    python -m benchmarks.tasks --only rt_polarity    one part
    python -m benchmarks.tasks --scale 0.1           a tenth of each budget
    python -m benchmarks.tasks --keep DIR            leave each part's home there, to look at it

Parts may run beside each other, each on cores of its own (`taskset`); every part's record says how
many it had.

Every part runs `lmcore run` on configurations as a user would write them, in a home of its own;
what is reported is what the run's own evaluation says about the published validation split (imdb: a
split by keyed hash).  Budgets are seconds of training, language-model stages included.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.corpora import shared_data
from benchmarks.machine import describe
from benchmarks.pipeline import lmcore
from benchmarks.recording import RESULTS, parser, record, workspace

Config = dict[str, Any]

_FREE = {"unknown_license": "allow"}
_REVIEWS = {"license": "unknown", "origin": "IMDb reviews (Maas et al. 2011), research use"}
_BASE = "reviews"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One comparison.

    Attributes:
        about: What is measured.
        aim: What was to be reached, in words.
        configs: Configurations to run in order, from the folder of the data; the last one counts.
    """

    about: str
    aim: str
    configs: Callable[[Path, Path], Sequence[Config]]


def reviews(data: Path, *, seconds: float, validation: float) -> Config:
    """The base: a language model that has read film reviews, without their labels."""
    source = {"path": str(data / "imdb" / "train_small.jsonl"), **_REVIEWS}
    return {
        "name": _BASE,
        "sources": [source],
        "data": {"validation_fraction": validation, "tune_fraction": 0.01},
        "tokenizer": {"kind": "bpe", "vocab_size": 8192},
        "model": {"pattern": "LA", "d_model": 256},
        "training": {"seed": 0, "budget_seconds": seconds},
        "gates": {"required": ["provenance"], "evaluation": {"free_samples": 10}},
        "policy": _FREE,
    }


def rt_sources(data: Path) -> list[Config]:
    """Sentences of reviews with the published validation split."""
    about = {"license": "CC-BY-4.0", "origin": "rt-polarity (Pang and Lee 2005)"}
    folder = data / "rt_polarity"
    return [
        {"path": str(folder / f"{name}.tsv"), "target_field": "label", "split": split, **about}
        for name, split in (("train", "train"), ("val", "validation"))
    ]


def rt_polarity(data: Path, folder: Path) -> list[Config]:
    """Five minutes without a base; then 13 of language model on reviews and two of classifier.

    A classifier reads all sentences in some six seconds; a language model, which predicts each
    token, takes five times as long for the same text.
    """
    task = {
        "name": "rt-polarity",
        "task": "sentiment",
        "sources": rt_sources(data),
        "data": {"tune_fraction": 0.05},
        "fine_tuning": {"max_source_tokens": 128, "adaptation_share": 0.4},
        "policy": _FREE,
    }
    alone = {
        **task,
        "base": None,
        "tokenizer": {"kind": "bpe", "vocab_size": 4096},
        "model": {"pattern": "LA", "d_model": 256},
        "training": {"seed": 0, "budget_seconds": 300},
    }
    based = {**task, "base": _BASE, "training": {"seed": 0, "budget_seconds": 120}}
    return [alone, reviews(data, seconds=780, validation=0.02), based]


def imdb(data: Path, folder: Path) -> list[Config]:
    """Whole reviews; the base reads the train side of the same split, then it learns labels."""
    source = {"path": str(data / "imdb" / "train_small.jsonl"), "target_field": "label", **_REVIEWS}
    task = {
        "name": "imdb",
        "task": "sentiment",
        "base": _BASE,
        "sources": [source],
        "data": {"validation_fraction": 0.2, "tune_fraction": 0.03},
        "training": {"seed": 0, "budget_seconds": 240, "batch_size": 32},
        "fine_tuning": {"max_source_tokens": 600, "adaptation_share": 0.0},
        "policy": _FREE,
    }
    return [reviews(data, seconds=1200, validation=0.2), task]


def multi30k(data: Path, folder: Path) -> list[Config]:
    """German to English, lower-cased as in the published comparison."""
    about = {"license": "unknown", "origin": "Multi30k (Elliott et al. 2016), research use"}
    sources = []
    for name, split in (("train", "train"), ("val", "validation")):
        for language in ("de", "en"):
            text = (data / "multi30k" / f"{name}.{language}").read_text(encoding="utf-8")
            (folder / f"{name}.{language}").write_text(text.lower(), encoding="utf-8")
        pair = {"path": f"{name}.de", "target_path": f"{name}.en", "format": "parallel"}
        sources.append({**pair, "split": split, **about})
    return [_translation("multi30k", sources, seconds=2700)]


def tatoeba(data: Path, folder: Path) -> list[Config]:
    """English to French from a table without a header."""
    about = {"license": "CC-BY-2.0", "origin": "Tatoeba", "columns": ["text", "french"]}
    sources = [
        {
            "path": str(data / "tatoeba_fra_eng" / f"{name}.tsv"),
            "target_field": "french",
            "split": split,
            **about,
        }
        for name, split in (("train", "train"), ("val", "validation"))
    ]
    return [_translation("tatoeba", sources, seconds=1800)]


def _translation(name: str, sources: list[Config], *, seconds: float) -> Config:
    return {
        "name": name,
        "task": "translation",
        "base": None,
        "sources": sources,
        "data": {"tune_fraction": 0.02, "near_duplicates": False},
        "tokenizer": {"kind": "bpe", "vocab_size": 8000},
        "model": {"pattern": "LAA", "d_model": 256, "num_heads": 4, "dropout": 0.3},
        "training": {
            "seed": 0,
            "budget_seconds": seconds,
            "batch_size": 64,
            "learning_rate": 0.002,
        },
        "fine_tuning": {"max_source_tokens": 96, "max_target_tokens": 96, "beam_size": 5},
        "policy": _FREE,
    }


def scitldr(data: Path, folder: Path) -> list[Config]:
    """Abstracts of papers to one sentence; of several references the first one counts."""
    about = {"license": "Apache-2.0", "origin": "SciTLDR (Cachola et al. 2020)"}
    sources = []
    for name, split in (("train", "train"), ("dev", "validation")):
        lines = (data / "scitldr" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        pairs = [{"text": " ".join(row["source"]), "target": row["target"][0]} for row in rows]
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8"
        )
        file = {"path": f"{name}.jsonl", "target_field": "target", "split": split}
        sources.append({**file, **about})
    return [_summaries("scitldr", sources, seconds=300, source=400, target=48)]


def bbc(data: Path, folder: Path) -> list[Config]:
    """News to summaries made of their own sentences."""
    about = {"license": "unknown", "origin": "BBC News Summary"}
    sources = [
        {
            "path": str(data / "bbc_news_summary" / f"{name}.jsonl"),
            "text_field": "article",
            "target_field": "summary",
            "split": split,
            **about,
        }
        for name, split in (("train", "train"), ("val", "validation"))
    ]
    # A summary has nearly half of its article.
    return [_summaries("bbc-news", sources, seconds=1200, source=640, target=300)]


def _summaries(
    name: str, sources: list[Config], *, seconds: float, source: int, target: int
) -> Config:
    return {
        "name": name,
        "task": "summarization",
        "base": None,
        "sources": sources,
        "data": {"tune_fraction": 0.05},
        "tokenizer": {"kind": "bpe", "vocab_size": 4096},
        "model": {"pattern": "LA", "d_model": 256, "num_heads": 4},
        "training": {
            "seed": 0,
            "budget_seconds": seconds,
            "batch_size": 16,
            "learning_rate": 0.002,
        },
        "fine_tuning": {"max_source_tokens": source, "max_target_tokens": target},
        "policy": _FREE,
    }


PARTS: Mapping[str, Part] = {
    "rt_polarity": Part(
        about="sentences of reviews, from a language model of reviews, beside random weights",
        aim="at least 80.5 % (Naive Bayes, on the test split) in 15 minutes of training",
        configs=rt_polarity,
    ),
    "imdb": Part(
        about="whole reviews",
        aim="surely above TF-IDF with logistic regression in 40 minutes",
        configs=imdb,
    ),
    "multi30k": Part(
        about="German to English, lower-cased",
        aim="at least 28.3 BLEU (GRU with attention, on test2016) in 90 minutes",
        configs=multi30k,
    ),
    "tatoeba": Part(about="English to French", aim="runs, above its bar", configs=tatoeba),
    "scitldr": Part(about="abstracts to a sentence", aim="at or above lead-1", configs=scitldr),
    "bbc": Part(about="news", aim="at or above lead-3", configs=bbc),
}


def run_part(part: Part, folder: Path, *, scale: float, options: Sequence[str]) -> dict[str, Any]:
    """Run the configurations of a part and report the last one."""
    started = time.perf_counter()
    runs: list[dict[str, Any]] = []
    for place, config in enumerate(part.configs(shared_data(), folder)):
        config["training"]["budget_seconds"] *= scale
        file = folder / f"{place}-{config['name']}.yaml"
        file.write_text(json.dumps(config, indent=1), encoding="utf-8")  # JSON is YAML
        own = () if config["name"] == _BASE else options
        answer = _lmcore(folder, "run", "--config", str(file), *own)
        runs.append({"base": config.get("base"), **answer})
    answer = runs[-1]
    # What began from random weights only stands beside.
    used = [answer, *(run for run in runs if run["model"] == answer["base"])]
    shown = _lmcore(folder, "show", str(answer["version"]), "--model", answer["model"])
    tables = Path(shown["report"]).parent / "evaluation" / "tables.json"
    named = {gate["gate"]: gate for gate in shown["gates"]}
    return {
        "about": part.about,
        "aim": part.aim,
        "train_step_seconds": round(sum(run["seconds"]["train"] for run in used), 1),
        "wall_clock_seconds": round(time.perf_counter() - started, 1),
        "outcome": answer["outcome"],
        "gates": {name: gate["outcome"] for name, gate in named.items()},
        "competence": {k: named["competence"].get(k) for k in ("reason", "evidence")},
        "metrics": answer["metrics"],
        "tables": {t["caption"]: t["rows"] for t in json.loads(tables.read_text())},
        "runs": [
            {
                "model": run["model"],
                "base": run["base"],
                "train_step_seconds": run["seconds"]["train"],
                "outcome": run["outcome"],
            }
            for run in runs
        ],
        "options": list(options),
        "scale": scale,
        "machine": {**describe(), "cores_used": len(os.sched_getaffinity(0))},
    }


def _lmcore(folder: Path, *arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(lmcore(folder / "home", *arguments, "--json")[1])
    return answer


def main() -> None:
    """Measure and write `benchmarks/results/tasks.json`; parts that were not run stay in it."""
    options = parser(__doc__)
    options.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="only these")
    options.add_argument("--scale", type=float, default=1.0, help="factor of every budget")
    options.add_argument("--keep", type=Path, help="a folder for the homes, kept afterwards")
    options.add_argument("--set", action="append", default=[], dest="changes", metavar="KEY=VALUE")
    given = options.parse_args()
    if not shared_data().is_dir():
        print(f"skipped: {shared_data()} is not there; set LMCORE_SHARED_DATA")
        return
    scale = 0.02 if given.quick else given.scale
    changes = [part for change in given.changes for part in ("--set", change)]
    file = given.output or RESULTS / "tasks.json"
    for name in given.only:
        with ExitStack() as stack:
            if given.keep is None:
                folder = Path(stack.enter_context(workspace(name)))
            else:
                folder = given.keep.resolve() / name
                folder.mkdir(parents=True)
            found = run_part(PARTS[name], folder, scale=scale, options=changes)
        shown = {k: v["value"] for k, v in found["metrics"].items()}
        print(name, found["train_step_seconds"], json.dumps(shown), flush=True)
        # Read again each time: another process may have added a part meanwhile.
        parts = json.loads(file.read_text()).get("parts", {}) if file.exists() else {}
        parts[name] = found
        record("tasks", {"what": "tasks on public data", "parts": parts}, given)


if __name__ == "__main__":
    main()
