"""The answers of the commands that read, use or move a registered model.

Each function returns the JSON value that the command prints with `--json`; the shapes are part
of the project's contract.  Text for people is made of the same values in `flows.commands.render`.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from flows.home.environment import current
from flows.registry.history import history as read_history
from flows.registry.last_run import last_run
from flows.registry.models import Registry
from flows.registry.promotion import me, settle
from flows.registry.promotion import promote as move_champion
from flows.registry.promotion import rollback as go_back
from flows.registry.versions import Version
from lmcore.errors import UserError
from lmcore.version_folder import VersionFolder

logger = logging.getLogger(__name__)

Answer = dict[str, Any]
# Lanes of one forward; more gain little on a few cores, and each has a state in memory.
_PROMPTS_TOGETHER = 32


def _settled(model: str | None) -> tuple[Registry, str]:
    """The registry and the model's name, after what a killed process left was put right."""
    registry = Registry(current())
    name = registry.choose_model(model)
    settle(registry, name)
    return registry, name


def _named(registry: Registry, model: str | None) -> list[str]:
    return [registry.choose_model(model)] if model is not None else registry.models()


def status(model: str | None) -> Answer:
    """Which version of each model is in use, and how the last run ended."""
    registry = Registry(current())
    models = []
    for name in _named(registry, model):
        settle(registry, name)
        aliases = registry.aliases(name)
        champion = aliases.get("champion")
        last = last_run(registry, name)
        models.append(
            {
                "model": name,
                "task": _task_of(registry, name, champion) or "language_modelling",
                "champion": champion,
                "previous": aliases.get("previous"),
                "challenger": aliases.get("challenger"),
                "metrics": dict(registry.version(name, champion).metrics) if champion else {},
                "last_run": {k: last[k] for k in ("outcome", "at", "reason")} if last else None,
                "schedule": last["schedule"] if last else None,
            }
        )
    return {"models": models}


def _task_of(registry: Registry, name: str, champion: int | None) -> str | None:
    versions = registry.versions(name)
    found = [v for v in versions if v.number == champion] or versions[-1:]
    return found[0].task if found else None


def history(model: str | None) -> Answer:
    """Everything that happened, oldest first."""
    registry = Registry(current())
    events = []
    for name in _named(registry, model):
        settle(registry, name)
        events += [event.to_json() for event in read_history(registry, name)]
    return {"events": sorted(events, key=lambda event: str(event["at"]))}


def versions(model: str | None) -> Answer:
    """All versions, newest first."""
    registry, name = _settled(model)
    found = [version.to_json() for version in registry.versions(name)]
    return {"model": name, "versions": found[::-1]}


def show(version: str, model: str | None) -> Answer:
    """One version: metrics, gates, lineage, and where its report and card lie."""
    registry, name = _settled(model)
    found = registry.version(name, version)
    folder = registry.open(found)
    return {
        "model": name,
        **found.to_json(),
        "reason": found.verdict,
        "gates": json.loads((folder.evaluation / "gates.json").read_text(encoding="utf-8")),
        "fingerprints": dict(found.fingerprints),
        "lineage": {
            **folder.lineage(),
            "sources": [
                {key: source.get(key) for key in ("license", "origin", "documents", "bytes")}
                for source in folder.sources()
            ],
        },
        "mlflow_run_id": found.run_id,
        "prefect_flow_run_id": found.flow_run_id,
        "report": str(folder.report),
        "card": str(folder.path / "README.md"),
    }


def compare(first: str, second: str, model: str | None) -> Answer:
    """Two versions, paired on the documents that both of them held out.

    The stored per-document scores are used: a document's id is the hash of its text, so equal
    ids are equal text, and a score depends on the weights and the text alone.
    """
    from lmcore.evaluation.scores.table import ScoreTable

    registry, name = _settled(model)
    versions = [registry.version(name, which) for which in (first, second)]
    if versions[0].task != "language_modelling":
        from flows.commands.compare_tasks import compare_tasks

        return compare_tasks(registry, versions)
    tables = [
        ScoreTable.from_parquet(registry.open(v).evaluation / "scores-validation.parquet")
        for v in versions
    ]
    shared = frozenset(map(str, tables[0].id)) & frozenset(map(str, tables[1].id))
    if len(shared) < 2:
        raise UserError(
            f"versions {versions[0].number} and {versions[1].number} of {name} held out"
            f" {len(shared)} documents in common; at least 2 are needed to compare them"
        )
    left, right = (table.select(table.isin(shared)) for table in tables)
    difference = left.paired_difference(right)
    numbers = [version.number for version in versions]
    if difference.upper < 0:
        sentence = f"Version {numbers[0]} is better than version {numbers[1]}."
    elif difference.lower > 0:
        sentence = f"Version {numbers[1]} is better than version {numbers[0]}."
    else:
        sentence = f"No difference between versions {numbers[0]} and {numbers[1]} is certain."
    return {
        "model": name,
        "sentence": sentence,
        "documents": len(shared),
        "first": {"version": numbers[0], "bits_per_byte": _metric(left.bits_per_byte())},
        "second": {"version": numbers[1], "bits_per_byte": _metric(right.bits_per_byte())},
        "difference": _metric(difference),
    }


def promote(version: str, model: str | None, *, reason: str, override: bool) -> tuple[Answer, int]:
    """Make a version the champion; 3 as exit code where its gates forbid it."""
    registry, name = _settled(model)
    if not reason.strip():
        raise UserError("--reason is empty; say why, it goes into the history")
    found = registry.version(name, version)
    champion = registry.aliases(name).get("champion")
    if not found.passed and not override:
        return (
            {
                "model": name,
                "version": found.number,
                "champion": champion,
                "previous": registry.aliases(name).get("previous"),
                "promoted": False,
                "sentence": (
                    f"Version {found.number} of {name} was not promoted: {found.verdict}."
                    " A person can decide otherwise with --override; the history will say so."
                ),
            },
            3,
        )
    done = move_champion(
        registry,
        name,
        found.number,
        expected_champion=champion,
        who=me(),
        reason=reason,
        override=override,
    )
    return _moved(name, done.champion, done.previous, "is the champion now"), 0


def rollback(model: str | None, *, reason: str) -> Answer:
    """Go back to the last champion that works; the present one is quarantined."""
    registry, name = _settled(model)
    done = go_back(registry, name, who=me(), reason=reason)
    return _moved(name, done.champion, done.previous, "is the champion again")


def _moved(name: str, champion: int, previous: int | None, what: str) -> Answer:
    return {
        "model": name,
        "version": champion,
        "champion": champion,
        "previous": previous,
        "promoted": True,
        "sentence": f"Version {champion} of {name} {what}.",
    }


def open_model(
    which: str, model: str | None, *, task: bool = False
) -> tuple[Version, VersionFolder]:
    """A version, by number or alias, with its verified files.

    Args:
        which: Number or alias.
        model: Name.
        task: Whether a model of a task is wanted, or a language model.

    Raises:
        UserError: If it is of the other kind.
    """
    registry, name = _settled(model)
    version = registry.version(name, which)
    if (version.task != "language_modelling") != task:
        kind = version.task.replace("_", " ")
        use = "lmcore generate" if task else "lmcore predict"
        raise UserError(f"{name} is a model for {kind}; use it with `{use} --model {name}`.")
    return version, registry.open(version)


def generate(
    prompts: Sequence[str] | Path,
    *,
    seed: int | None = None,
    live: bool = False,
    attribute: bool = False,
    version: str = "champion",
    model: str | None = None,
    **settings: Any,
) -> Answer:
    """Continue prompts with a registered model.

    Args:
        prompts: Texts, or a file with one a line. A single text has an answer of its own
            shape; the n-th of several is drawn with the seed `seed + n`, counted from 0.
        seed: None draws one; it is in the answer.
        live: For one text, leave its continuation to whoever reads `_pieces`, an iterator.
        attribute: Say which pieces of the new text stand verbatim in the training data.
        version: Number or alias.
        model: Name; needed where there are several.
        settings: Other fields of `GenerationConfig`.
    """
    from lmcore.data.tokens.vocabularies import utf8
    from lmcore.model.generation import (
        GenerationConfig,
        generate_batch,
        stream_generate,
    )
    from lmcore.model.generation import generate as continue_text

    config = GenerationConfig(seed=secrets.randbelow(1 << 31) if seed is None else seed, **settings)
    single = not isinstance(prompts, Path) and len(prompts) == 1
    texts = _read_prompts(prompts) if isinstance(prompts, Path) else prompts
    for text in (*texts, *config.stop):
        utf8(text)
    found, folder = open_model(version, model)
    network, tokenizer = folder.load_model(), folder.load_tokenizer()
    config = replace(config, forbidden=folder.forbidden())
    attributor = None
    if attribute:
        from flows.commands.attribution import Attributor

        attributor = Attributor(folder, tokenizer, current())

    def attributed(text: str) -> Answer:
        return {} if attributor is None else {"attributions": attributor.spans(text)}

    answer: Answer = {"model": found.model, "version": found.number, "seed": config.seed}
    if single and live and not attribute:
        pieces = stream_generate(network, tokenizer, texts[0], config)
        return {**answer, "prompt": texts[0], "_pieces": pieces}
    if single:
        result = continue_text(network, tokenizer, texts[0], config)
        return {**answer, "prompt": texts[0], **asdict(result), **attributed(result.text)}
    generations: list[Answer] = []
    for start in range(0, len(texts), _PROMPTS_TOGETHER):
        batch = texts[start : start + _PROMPTS_TOGETHER]
        own = replace(config, seed=(config.seed + start) % (1 << 63))
        results = generate_batch(network, tokenizer, batch, own)
        generations += [
            {"prompt": text, **asdict(result), **attributed(result.text)}
            for text, result in zip(batch, results, strict=True)
        ]
    return {**answer, "generations": generations}


def _read_prompts(file: Path, *, what: str = "prompt") -> list[str]:
    """The lines of a file; an empty line is an empty prompt, so that answers keep their places."""
    path = current().resolve(file)
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(
            f"{file}: cannot be read ({error.strerror}); expected a text file"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file}: not UTF-8 (byte {error.start}); expected one {what} a line, in UTF-8"
        ) from error
    if not content:
        raise UserError(f"{file}: empty; expected one {what} a line")
    # Other line ends that `splitlines` knows may be part of a prompt.
    return [line.removesuffix("\r") for line in content.removesuffix("\n").split("\n")]


def predict(
    text: str | None, *, file: Path | None = None, version: str = "champion", model: str | None
) -> Answer:
    """Label, translate or summarize texts with a registered model of a task.

    Args:
        text: One text; None where a file is given.
        file: One text a line; an empty line is an empty text, so that answers keep their places.
        version: Number or alias.
        model: Name; needed where there are several models of tasks.
    """
    texts = _read_prompts(file, what="text") if file is not None else [text or ""]
    found, folder = open_model(version, _task_model(model), task=True)
    answers = folder.load_predictor().predict(texts)
    return {
        "model": found.model,
        "version": found.number,
        "predictions": [
            {
                "input": answer.input.encode("utf-8", "replace").decode(),
                "output": answer.output,
                "probabilities": answer.probabilities,
                "truncated": answer.truncated,
                "note": answer.note or None,
            }
            for answer in answers
        ],
    }


def _task_model(model: str | None) -> str | None:
    """The named model, or the only one of a task."""
    registry = Registry(current())
    if model is not None:
        return model
    of_tasks = [
        name
        for name in registry.models()
        if any(v.task != "language_modelling" for v in registry.versions(name)[-1:])
    ]
    return of_tasks[0] if len(of_tasks) == 1 else None


def score(file: Path, *, version: str, model: str | None) -> Answer:
    """Bits per byte of a file, with its interval over documents."""
    from lmcore.data.sources.single_file import read_documents
    from lmcore.evaluation.scores.scoring import score_documents
    from lmcore.evaluation.scores.table import NATS_PER_BIT

    documents = read_documents(current().resolve(file))
    found, folder = open_model(version, model)
    table = score_documents(folder.load_model(), folder.load_tokenizer(), documents)
    value: Answer
    if len(table) >= 2:
        value = _metric(table.bits_per_byte())
    else:
        # One document has a value and no spread.
        value = {
            "value": table.total_bits_per_byte(),
            "lower": None,
            "upper": None,
            "unit": "bits/byte",
            "n": len(table),
        }
    bits = table.nll_nats / NATS_PER_BIT
    return {
        "model": found.model,
        "version": found.number,
        "bits_per_byte": value,
        "documents": [
            {"id": str(table.id[i]), "bytes": int(table.num_bytes[i]), "bits": float(bits[i])}
            for i in range(len(table))
        ],
    }


def _metric(interval: Any) -> Answer:
    return {
        "value": interval.value,
        "lower": interval.lower,
        "upper": interval.upper,
        "unit": "bits/byte",
        "n": interval.n,
    }
