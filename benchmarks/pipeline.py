"""What the pipeline costs around the training, and how quickly the commands answer.

    python -m benchmarks.pipeline            all of it, about ten minutes on two cores
    python -m benchmarks.pipeline startup    only the commands that need a finished run

Each figure is measured from outside, as a user's shell would: process start included.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.arithmetic import spread
from benchmarks.machine import describe

REPEATS = 5
OVERHEAD_STEPS = 150
OVERHEAD_REPEATS = 3


def lmcore(home: Path, *arguments: str, allowed: tuple[int, ...] = (0, 3)) -> tuple[float, str]:
    """Seconds and standard output of one command, which must end with an allowed exit code."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        env={**os.environ, "LMCORE_HOME": str(home)},
        stdout=subprocess.PIPE,
        check=False,
        text=True,
    )
    seconds = time.perf_counter() - start
    if done.returncode not in allowed:
        raise SystemExit(f"lmcore {' '.join(arguments)} ended with {done.returncode}")
    return seconds, done.stdout


def repeatedly(measure: Callable[[], float], repeats: int = REPEATS) -> dict[str, float]:
    """Spread of several measurements, to a thousandth."""
    found = spread([measure() for _ in range(repeats)])
    return {name: round(value, 3) for name, value in found.items()}


def default_run(home: Path) -> dict[str, Any]:
    """The default configuration in an empty home."""
    seconds, output = lmcore(home, "run", "--json")
    answer = json.loads(output)
    shown = json.loads(lmcore(home, "show", str(answer["version"]), "--json")[1])
    competence = next(gate for gate in shown["gates"] if gate["gate"] == "competence")
    return {
        "model_minus_kneser_ney_bits_per_byte": competence["evidence"]["differences"],
        "wall_clock_seconds": round(seconds, 1),
        "around_the_training_seconds": round(seconds - answer["seconds"]["train"], 1),
        "outcome": answer["outcome"],
        "steps_seconds": answer["seconds"],
        "metrics": {
            name: metric
            for name, metric in answer["metrics"].items()
            if "bits_per_byte" in name or name in ("train_tokens_per_second", "params")
        },
        "gates": {gate["gate"]: gate["outcome"] for gate in answer["gates"]},
    }


def commands(home: Path) -> dict[str, Any]:
    """Commands that need a finished run."""
    prompt = ("generate", "--prompt", "Fellow citizens", "--max-tokens", "200", "--seed", "0")
    return {
        "run_nothing_new_seconds": repeatedly(lambda: lmcore(home, "run", "--json")[0], 3),
        "help_seconds": repeatedly(lambda: lmcore(home, "--help")[0]),
        "generate_200_tokens_seconds": repeatedly(lambda: lmcore(home, *prompt)[0]),
        "status_seconds": repeatedly(lambda: lmcore(home, "status")[0]),
    }


_BARE = """
import json, sys, time
from pathlib import Path
from flows.home.environment import prepare
home = prepare()
from lmcore.content_store import ContentStore
from lmcore.config_file import load_config
from lmcore.data.ingest.ingest import ingest
from lmcore.data.ingest.split import SplitLedger
from lmcore.data.tokens.corpus import make_corpus
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.training.attempt import Attempt
from lmcore.training.train import train
config = load_config(overrides=[f"training.max_steps={sys.argv[1]}"])
store = ContentStore(home.content)
documents = ingest(store, sources=config.sources, data=config.data, policy=config.policy,
                   ledger=SplitLedger(home.splits))
tokenizer = fit_tokenizer(store, documents, config=config.tokenizer)
corpus = make_corpus(store, documents, tokenizer)
start = time.perf_counter()
train(Attempt(store=store, work_dir=home.work, nonce=int(sys.argv[2])), corpus,
      model=config.model, training=config.training)
print(json.dumps(time.perf_counter() - start))
"""


def overhead(home: Path) -> dict[str, Any]:
    """The same training steps without and with Prefect and MLflow, alternating."""
    bare, full = [], []
    for repeat in range(OVERHEAD_REPEATS):
        done = subprocess.run(
            [sys.executable, "-c", _BARE, str(OVERHEAD_STEPS), str(1000 + repeat)],
            env={**os.environ, "LMCORE_HOME": str(home)},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        bare.append(float(done.stdout))
        options = ("--set", f"training.max_steps={OVERHEAD_STEPS}", "--force", "--json")
        output = lmcore(home, "run", *options, "--set", "promote=false")[1]
        full.append(json.loads(output)["seconds"]["train"])
    return {
        "steps": OVERHEAD_STEPS,
        "bare_seconds": [round(x, 2) for x in bare],
        "orchestrated_seconds": [round(x, 2) for x in full],
        "ratio_of_medians": round(statistics.median(full) / statistics.median(bare), 3),
    }


def main() -> None:
    """Measure and write `benchmarks/results/pipeline.json`."""
    only_commands = sys.argv[1:] == ["startup"]
    target = Path(__file__).parent / "results" / "pipeline.json"
    results: dict[str, Any] = json.loads(target.read_text()) if target.exists() else {}
    results["machine"] = describe()
    folder = Path(tempfile.mkdtemp(prefix="lmcore-bench-"))
    try:
        if only_commands:
            lmcore(folder, "run", "--json", "--set", "training.max_steps=20")
        else:
            results["default_run"] = default_run(folder)
        results["commands"] = commands(folder)
        if not only_commands:
            results["overhead"] = overhead(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
