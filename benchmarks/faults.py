"""What faults do to a home: bits that flip, files that are lost, disks that are full, kills.

    python -m benchmarks.faults                 400 faults, about 20 minutes on two cores
    python -m benchmarks.faults --faults 40     fewer

One home is made by `lmcore run` from a corpus of a few lines.  Each fault then strikes a copy of
it: one file is damaged, or a disk fails while steps and commands work.  After it the same work is
done again without a fault, and has to answer as it does in a home that no fault struck: the
history, the champion, what it writes, the side of each document, the weights of a training.  The
work runs in a child that is forked where everything is imported, so that a fault costs a second.

Counted are tracebacks, answers that differ (wrong decisions), and homes that still refuse to work
with the second try, which would need a person.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import io
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.recording import parser, record, workspace

_LINES = 80
_CONFIG = """\
name: faults
sources: [{path: lines.txt, format: lines, license: CC0-1.0, origin: made by a program}]
tokenizer: {kind: byte}
model: {pattern: LA, d_model: 16, num_heads: 1, head_dim: 8, window: 8}
training: {max_steps: 3, batch_size: 4, sequence_length: 16, evaluations: 1, warmup_steps: 1,
  precision: float32}
policy: {canaries: "off"}
gates: {required: [provenance], evaluation: {free_samples: 2, resamples: 1000}}
"""
#: Kinds of faults: of a file that lies there, and of a disk or a process that works.
OF_FILES = ("a flipped bit", "cut short", "empty", "missing")
OF_WORK = ("no room (EFBIG)", "no room (ENOSPC)", "a failing disk (EIO)", "killed")
_KILLED = 137


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one piece of work came to.

    Attributes:
        ended: `answered`, `refused` with one sentence, `traceback` or `killed`.
        told: Answers, or the sentence, or the traceback.
    """

    ended: str
    told: Any


def make_home(folder: Path) -> Path:
    """A home with a champion."""
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefgh", k=5)) for _ in range(400)]
    lines = (" ".join(rng.choices(words, k=40)) for _ in range(_LINES))
    (folder / "lines.txt").write_text("\n".join(lines) + "\n")
    (folder / "config.yaml").write_text(_CONFIG)
    home = folder / "home"
    subprocess.run(
        [sys.executable, "-m", "flows.cli", "run", "--config", str(folder / "config.yaml")],
        env={**os.environ, "LMCORE_HOME": str(home), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return home


def command(*arguments: str) -> Any:
    """The JSON answer of a command, in this process."""
    from flows.cli import cli

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        cli.main([*arguments, "--json"], prog_name="lmcore", standalone_mode=False)
    return json.loads(said.getvalue())


def work(config_file: Path) -> Mapping[str, Any]:
    """What is asked of a home, and what a run does in it but for Prefect's part."""
    from flows.commands.shared.configuration import configuration
    from flows.home import prefect_database
    from flows.home.environment import current
    from flows.registry.models import Registry
    from flows.steps.begin_run import begin_run, usable
    from flows.steps.ingest_documents import fingerprint, ingest_documents
    from flows.steps.tokenize_documents import tokenize_documents
    from flows.steps.train_model import trained
    from lmcore.training.start import from_scratch

    home = current()
    prefect_database.ready(home)
    events = command("history")["events"]
    config = configuration(config_file)
    registry = Registry(home)
    versions = registry.versions(config.name)
    written = command("generate", "--prompt", "abc", "--max-tokens", "8", "--seed", "1")
    run = begin_run(config, home=home, sources=fingerprint(config))
    documents = ingest_documents(config, run.sources, home, run.removals)
    start = from_scratch("faults")
    corpus = tokenize_documents(config, documents, home, start)
    checkpoint = trained(config, corpus, home, start=start, base=None, on_event=lambda event: None)
    # Text that is new asks the ledger, whatever lies in the content store.
    more = config.model_copy(update={"data": config.data.model_copy(update={"as_of": None})})
    shutil.rmtree(home.content / "documents", ignore_errors=True)
    again = ingest_documents(more, run.sources, home, run.removals)
    return {
        "history": [event for event in events if event["action"] != "mend"],
        "versions": [(v.number, v.outcome, v.aliases, v.weights_sha256) for v in versions],
        "nothing new": usable(registry, versions),
        "written": written["text"],
        "weights": checkpoint.summary["weights_sha256"],
        "sides": sorted((row["id"], row["split"], row["cluster"]) for row in again.iter_rows()),
    }


def in_child(home: Path, config_file: Path, prepare: Callable[[], None]) -> Outcome:
    """Do the work in a forked process.

    Args:
        home: Where.
        config_file: Of the model.
        prepare: Called before; lets something fail.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            outcome = _outcome(home, config_file, prepare)
            with os.fdopen(writing, "w") as stream:
                json.dump(outcome.__dict__, stream)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as stream:
        said = stream.read()
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == _KILLED:
        return Outcome(ended="killed", told=None)
    return Outcome(**json.loads(said)) if said else Outcome(ended="traceback", told="no answer")


def _outcome(home: Path, config_file: Path, prepare: Callable[[], None]) -> Outcome:
    from flows.commands.shared.failures import disk_failure
    from flows.home import environment
    from flows.home.environment import isolate
    from flows.home.registry_database import keep
    from lmcore.errors import LmcoreError

    try:
        prepare()
        os.environ["LMCORE_HOME"] = str(home)
        made = environment.make_home(home, started_in=config_file.parent)
        isolate(os.environ, made)
        environment._prepared = made
        answers = work(config_file)
        keep(made)
        return Outcome(ended="answered", told=json.loads(json.dumps(answers)))
    except LmcoreError as error:
        return Outcome(ended="refused", told=str(error))
    except BaseException as error:
        if (sentence := disk_failure(error, home)) is not None:
            return Outcome(ended="refused", told=sentence)
        return Outcome(ended="traceback", told=traceback.format_exc()[-3000:])


def strike(home: Path, kind: str, rng: random.Random) -> str:
    """Damage one file of a home; returns which."""
    files = sorted(path for path in home.rglob("*") if path.is_file())
    weighty = [path for path in files if path.stat().st_size > 0]
    path = rng.choice(weighty)
    content = bytearray(path.read_bytes())
    if kind == "a flipped bit":
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif kind == "cut short":
        del content[rng.randrange(len(content)) :]
    if kind == "missing":
        path.unlink()
    else:
        path.write_bytes(b"" if kind == "empty" else content)
    return str(path.relative_to(home))


def failing(kind: str, rng: random.Random) -> Callable[[], None]:
    """What lets the work of a child fail."""
    left = [rng.randrange(1, 60)]
    limit = rng.randrange(1, 1_200_000)

    def hit() -> None:
        left[0] -= 1
        if left[0] == 0 or (left[0] < 0 and kind != "killed"):
            if kind == "killed":
                os._exit(_KILLED)
            number = errno.EIO if "EIO" in kind else errno.ENOSPC
            raise OSError(number, os.strerror(number))

    def prepare() -> None:
        if "EFBIG" in kind:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            return
        for name in ("fsync", "replace"):
            real = getattr(os, name)

            def call(*values: Any, real: Callable[..., Any] = real, **named: Any) -> Any:
                hit()
                return real(*values, **named)

            setattr(os, name, call)

    return prepare


def import_everything() -> None:
    """Once, before children are forked."""
    import torch

    torch.set_num_threads(1)
    import flows.commands.generate
    import flows.commands.history
    import flows.registry.models
    import flows.steps.train_model  # noqa: F401
    import lmcore.serving  # noqa: F401
    from lmcore.model import factory  # noqa: F401


def main() -> None:
    """Strike, and count."""
    options_parser = parser(__doc__)
    options_parser.add_argument("--faults", type=int, default=400)
    options_parser.add_argument("--minutes", type=float, help="stop after so many")
    options_parser.add_argument("--seed", type=int, default=0)
    options = options_parser.parse_args()
    wanted = 16 if options.quick else options.faults
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    examples: list[dict[str, Any]] = []
    begun, core = time.monotonic(), time.process_time()
    with workspace("faults") as name:
        folder = Path(name)
        sound = make_home(folder)
        config_file = folder / "config.yaml"
        import_everything()
        copy = folder / "copy"

        def fresh() -> None:
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(sound, copy)

        fresh()
        expected = in_child(copy, config_file, lambda: None)
        assert expected.ended == "answered", expected.told
        kinds = (*OF_FILES, *OF_WORK)
        for number in range(wanted):
            if options.minutes and time.monotonic() - begun > 60 * options.minutes:
                break
            kind = kinds[number % len(kinds)]
            rng = random.Random(f"{options.seed} {number}")
            fresh()
            place = ""
            if kind in OF_FILES:
                place = strike(copy, kind, rng)
                first = in_child(copy, config_file, lambda: None)
            else:
                # What is there already needs no disk.
                shutil.rmtree(copy / "content")
                first = in_child(copy, config_file, failing(kind, rng))
            # A home that has answered as it should needs nothing more.
            sound_already = first.ended == "answered" and first.told == expected.told
            second = first if sound_already else in_child(copy, config_file, lambda: None)
            seen = judged(first, second, expected)
            counts[kind].update(seen)
            if bad := seen & {"traceback", "wrong decision", "needs a person"}:
                told = [str(outcome.told)[-1500:] for outcome in (first, second)]
                examples.append({"kind": kind, "file": place, "what": sorted(bad), "told": told})
            print(number, kind, place, sorted(seen), file=sys.stderr, flush=True)
    total: collections.Counter[str] = collections.Counter()
    for found in counts.values():
        total.update(found)
    results = {
        "faults": total["faults"],
        "total": dict(total),
        "kinds": {kind: dict(found) for kind, found in counts.items()},
        "examples": examples[:40],
        "seconds": round(time.monotonic() - begun, 1),
        "core_seconds": round(time.process_time() - core + _children(), 1),
    }
    record("faults", results, options)


def judged(first: Outcome, second: Outcome, expected: Outcome) -> set[str]:
    """What a fault came to."""
    seen = {"faults", f"first {first.ended}"}
    for outcome in (first, second):
        if outcome.ended == "traceback":
            seen.add("traceback")
        if outcome.ended == "answered" and outcome.told != expected.told:
            seen.add("wrong decision")
    if second.ended != "answered":
        seen.add("needs a person")
    return seen


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
