"""What `lmcore run --dry-run` says: what would be read, and how long it would take.

The reading pass of a run is made, into a folder that is thrown away; nothing is trained, registered
or remembered. How long the rest takes is known from the last run of the model, or from the
configuration's own budget; what is not known is not guessed.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flows.commands.shared import text
from flows.commands.shared.command import Answer, Values
from flows.commands.shared.start import look_at_start, start_lines
from lmcore.counted import counted

if TYPE_CHECKING:
    from flows.home.folders import Home
    from lmcore.config import RunConfig

#: Lines of a list that are printed; the JSON answer has all.
SHOWN = 40
_SAMPLE_CHARACTERS = 400
#: Ingest writes and clusters what the look only reads.
_PASSES = 2.0


def dry_run(config: RunConfig, home: Home) -> Answer:
    """Read the sources as a run would.

    Raises:
        UserError: If a source does not exist, or lacks a named column.
    """
    from lmcore.data.copies.removal import read_removals
    from lmcore.data.ingest.preview import MAX_ENTRIES, preview

    start, problems = look_at_start(config)
    begun = time.monotonic()
    found = preview(
        config.sources,
        data=config.data,
        removals=read_removals(home.removals).for_model(config.name),
    )
    seconds = _seconds(config, home, reading=time.monotonic() - begun)
    stops = [*problems, *found.stops]
    values = {
        "model": config.name,
        "task": config.task,
        "start": start,
        "documents": found.documents,
        "bytes": found.num_bytes,
        "files": [vars(file) for file in found.files],
        "set_aside": [
            {"file": bad.file, "position": bad.position, "reason": bad.reason}
            for bad in found.set_aside
        ],
        "left_out": [{"file": left.file, "reason": left.reason} for left in found.left_out],
        "complete": max(len(found.files), len(found.set_aside), len(found.left_out)) < MAX_ENTRIES,
        "dropped": found.account["dropped"],
        "exact_duplicates": found.account["exact_duplicates"]["documents"],
        "masked": found.account["masked"]["replacements"],
        "languages": found.languages,
        "sides": found.sides,
        "samples": [
            {"name": sample.name, "text": sample.text, "target": sample.target}
            for sample in found.samples
        ],
        "seconds": seconds,
        "stops": stops,
    }
    places = [source.place for source in config.sources]
    return Answer(
        values=values,
        text=functools.partial(_text, places=places),
        exit_code=2 if stops else 0,
    )


def _last_seconds(config: RunConfig, home: Home) -> Mapping[str, float]:
    if home.embedded and not home.mlflow_database.exists():
        return {}  # a look makes no registry
    from flows.registry.last_run import last_run
    from flows.registry.models import Registry

    registry = Registry(home)
    last = last_run(registry, config.name) if config.name in registry.models() else None
    return (last or {}).get("seconds") or {}


def _seconds(config: RunConfig, home: Home, *, reading: float) -> dict[str, float | None]:
    """How long each step would take; None where nobody can say before a first run."""
    before = _last_seconds(config, home)
    train = config.training.budget_seconds
    return {
        "ingest": round(_PASSES * reading, 1),
        **{step: before.get(step) for step in ("tokenize", "evaluate", "register")},
        "train": before.get("train") if train is None else train,
    }


def _text(answer: Values, *, places: Sequence[str]) -> None:
    text.title(
        f"{answer['model']}: {counted(answer['documents'], 'document')},"
        f" {text.size(answer['bytes'])}"
    )
    for line in start_lines(answer["start"]):
        text.line(line)
    _files(answer, places)
    _list("set aside, because it cannot be read", [_aside(bad) for bad in answer["set_aside"]])
    _list("left out", [f"{left['file']}: {left['reason']}" for left in answer["left_out"]])
    rest = [
        f"{n['documents']:,} {reason.replace('_', ' ')}" for reason, n in answer["dropped"].items()
    ]
    if answer["exact_duplicates"]:
        rest.append(f"{answer['exact_duplicates']:,} exact copies of others")
    if rest:
        text.line(f"dropped: {', '.join(rest)}")
    if spoken := answer["languages"].get("texts"):
        told = ", ".join(f"{code} {n['documents']:,}" for code, n in list(spoken.items())[:10])
        text.line(f"languages: {told}")
        for remark in answer["languages"]["remarks"]:
            text.line(f"  {remark}")
    if answer["sides"]:
        sides = ", ".join(f"{side} {n:,}" for side, n in answer["sides"].items())
        text.line(f"split, were it the first: {sides}")
    if answer["masked"]:
        masked = ", ".join(f"{count:,} {kind}" for kind, count in answer["masked"].items())
        text.line(f"masked: {masked}")
    for sample in answer["samples"]:
        text.line()
        text.title(sample["name"])
        text.line(_beginning(sample["text"]))
        if sample["target"] is not None:
            text.line(f"  -> {_beginning(sample['target'])}")
    text.line()
    _time(answer["seconds"])
    for stop in answer["stops"]:
        text.line()
        text.title("A run would stop here:", "red")
        text.line(f"  {stop}")


def _files(answer: Values, places: Sequence[str]) -> None:
    rows = [
        (
            *(places[file["source"]], file["name"], file["format"] or "-", file["encoding"] or "-"),
            *(f"{file['records']:,}", f"{file['set_aside']:,}"),
        )
        for file in answer["files"]
    ]
    # Those that could not be read are what somebody looks for.
    rows.sort(key=lambda row: row[-1] == "0")
    text.line()
    header = ("source", "file", "format", "encoding", "texts", "set aside")
    text.table(rows[:SHOWN], header)
    _more(len(rows), "files")
    text.line()


def _list(title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    text.title(f"{len(lines):,} {title}:")
    for line in lines[:SHOWN]:
        text.line(f"  {line}")
    _more(len(lines), "entries")
    text.line()


def _more(total: int, what: str) -> None:
    if total > SHOWN:
        text.line(f"  ... and {total - SHOWN:,} more {what}; --json lists them")


def _aside(bad: Mapping[str, Any]) -> str:
    where = f"{bad['file']}:{bad['position']}" if bad["position"] else bad["file"]
    return f"{where}: {bad['reason']}"


def _beginning(sample: str) -> str:
    cut = sample[:_SAMPLE_CHARACTERS]
    return cut if len(cut) == len(sample) else f"{cut}…"


def _time(seconds: Mapping[str, float | None]) -> None:
    known = {step: value for step, value in seconds.items() if value is not None}
    unknown = [step for step, value in seconds.items() if value is None]
    parts = ", ".join(f"{step} {value:,.0f} s" for step, value in known.items())
    text.line(f"time: about {sum(known.values()) / 60:,.1f} min ({parts})")
    if unknown:
        text.line(f"      and {', '.join(unknown)}, of which nothing is known before a first run")
