"""What all benchmark programs share: options, where results go, processes of their own."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.machine import describe

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
NOT_RUN = "not run: no path to a checkout was given, or the side was left out"


def parser(description: str | None) -> argparse.ArgumentParser:
    """Options that every program has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="only check that it works; no result")
    made.add_argument("--output", type=Path, help="where the result goes instead of results/")
    return made


def record(name: str, results: Mapping[str, Any], options: argparse.Namespace) -> None:
    """Print a result and, unless it is a quick check, write it."""
    record = {"machine": describe(), **results}
    text = json.dumps(record, indent=1)
    print(text)
    if options.quick and options.output is None:
        print("a quick check: the figures mean nothing and were not written")
        return
    target = options.output or RESULTS / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text + "\n")


def workspace(name: str) -> tempfile.TemporaryDirectory[str]:
    """A folder for one run, gone afterwards."""
    return tempfile.TemporaryDirectory(prefix=f"lmcore-bench-{name}-")


def in_child(
    module: str,
    point: Mapping[str, Any],
    *,
    threads: int | None = None,
    home: Path | None = None,
) -> Any:
    """Run `python -m module --point JSON` in a fresh process; returns the JSON that it prints last.

    Args:
        module: Name of the module.
        point: What to measure.
        threads: Cores that it may use; None: all of this process.
        home: Its LMCORE_HOME; None: that of this process.
    """
    environment = dict(os.environ)
    if home is not None:
        environment["LMCORE_HOME"] = str(home)
    before = os.sched_getaffinity(0)
    cores = sorted(before)[:threads]
    environment["OMP_NUM_THREADS"] = environment["MKL_NUM_THREADS"] = str(len(cores))
    # A child inherits the cores of its parent, so that one core really is one.
    os.sched_setaffinity(0, cores)
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, "--point", json.dumps(point)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.sched_setaffinity(0, before)
    if done.returncode:
        raise SystemExit(f"{module} --point '{json.dumps(point)}' ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])
