"""Is the default pipeline's verdict the same, whatever its seed and its number of steps?

    python -m benchmarks.repeats               what is missing of a hundred, about seven hours
    python -m benchmarks.repeats --minutes 60  as many of these as fit; the next call goes on
    python -m benchmarks.repeats --quick       two runs of 20 steps

A default run takes as many steps as fit into two minutes, from some 500 on a busy machine to some
4,000 on a fast one.  Each repeat is a whole `lmcore run` of the default configuration with a seed
of its own, a number of steps, and a name of its own, so that each is a first champion.  The steps
are spread evenly in their logarithm over every twenty repeats.  Side by side run as many as there
are cores, each on one, in a home of its own.

Every finished run is written at once to `benchmarks/results/repeats.json`.  What was judged by
other code of the gates than today's is forgotten and done again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.recording import RESULTS, ROOT, parser, workspace
from lmcore.digests import digest
from lmcore.evaluation.config import GateName, GatesConfig
from lmcore.evaluation.gates.standing import shipped_record
from lmcore.evaluation.gates.version import gate_version

REPEATS = 100
FEWEST, MOST = 500, 4_000
_SPREAD = 20
_TARGET = RESULTS / "repeats.json"


def steps_of(repeat: int) -> int:
    """Steps of a repeat; neighbours differ much, so a part of all repeats says something too."""
    # 7 and 20 have no common divisor, so each place is taken once in twenty.
    place = repeat * 7 % _SPREAD / (_SPREAD - 1)
    return round(FEWEST * (MOST / FEWEST) ** place)


def gates_code() -> str:
    """What judges today, as one word."""
    gates = GatesConfig.default()
    names: Sequence[GateName] = sorted(shipped_record().gates)
    return digest([gate_version(name, gates) for name in names])[:16]


def repeated(home: Path, repeat: int, *, steps: int) -> dict[str, Any]:
    """One run, from its first step to its verdict."""
    command = (
        *(sys.executable, "-m", "flows.cli", "run", "--json"),
        *("--set", f"name=repeat-{repeat}"),
        *("--set", f"training.seed={repeat}"),
        *("--set", f"training.max_steps={steps}"),
    )
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "LMCORE_HOME": str(home), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 3):
        raise SystemExit(f"repeat {repeat} ended with {done.returncode}: {done.stderr[-500:]}")
    answer = json.loads(done.stdout)
    return {
        "repeat": repeat,
        "steps": steps,
        "outcome": answer["outcome"],
        "gates": {gate["gate"]: gate["outcome"] for gate in answer["gates"]},
        "not_passed": {
            gate["gate"]: gate["reason"]
            for gate in answer["gates"]
            if gate["outcome"] in ("FAIL", "INCONCLUSIVE", "WARN")
        },
        "val_bits_per_byte": answer["metrics"]["val_bits_per_byte"]["value"],
    }


class Repeats:
    """Repeats that are shared among some threads, and what came out of them.

    Args:
        done: Of before.
        wanted: Numbers of the repeats.
        minutes: None is begun later than that.
        target: Where what is known is written after each.
    """

    def __init__(
        self, done: list[dict[str, Any]], wanted: Sequence[int], *, minutes: float, target: Path
    ) -> None:
        known = {run["repeat"] for run in done}
        self._left: Iterator[int] = iter([repeat for repeat in wanted if repeat not in known])
        self._end, self._target = time.monotonic() + 60 * minutes, target
        self._lock, self.runs = threading.Lock(), done

    def work(self, home: Path, *, steps: int | None) -> None:
        """Do repeats until none is left or the time is over."""
        while True:
            with self._lock:
                repeat = None if time.monotonic() > self._end else next(self._left, None)
            if repeat is None:
                return
            run = repeated(home, repeat, steps=steps or steps_of(repeat))
            with self._lock:
                self.runs = sorted([*self.runs, run], key=lambda r: r["repeat"])
                write(self.runs, self._target)
            print(json.dumps(run), flush=True)


def write(runs: Sequence[Mapping[str, Any]], target: Path) -> None:
    """The record: how many repeats ended how, by gate too, and each of them."""
    gates = {gate for run in runs for gate in run["gates"]}
    text = {
        "machine": describe(),
        "gates_code": gates_code(),
        "repeats": len(runs),
        "outcomes": dict(Counter(run["outcome"] for run in runs).most_common()),
        "gates": {
            gate: dict(Counter(run["gates"].get(gate) for run in runs).most_common())
            for gate in sorted(gates)
        },
        "runs": runs,
    }
    target.write_text(json.dumps(text, indent=1) + "\n")


def main() -> None:
    """Do what is missing, and write `benchmarks/results/repeats.json`."""
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=24 * 60.0, help="no run begins later")
    given = options.parse_args()
    target = given.output or _TARGET
    before = json.loads(target.read_text()) if target.exists() else {}
    done = before["runs"] if before.get("gates_code") == gates_code() else []
    with workspace("repeats") as name:
        if given.quick:
            done, target = [], given.output or Path(name) / "repeats.json"
        wanted = range(2 if given.quick else REPEATS)
        repeats = Repeats(done, wanted, minutes=given.minutes, target=target)
        cores = len(os.sched_getaffinity(0))
        steps = 20 if given.quick else None
        with ThreadPoolExecutor(cores) as pool:
            working = [
                pool.submit(repeats.work, Path(name) / f"home-{core}", steps=steps)
                for core in range(cores)
            ]
        for worker in working:
            worker.result()
        print(target.read_text())


if __name__ == "__main__":
    main()
