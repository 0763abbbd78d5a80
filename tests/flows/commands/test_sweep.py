"""`lmcore sweep` as a user runs it: an answer, a stop in the middle, nothing registered."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

TEXT = "\n\n".join(f"Paragraph {i} says that number {i * i} follows {i}. " * 12 for i in range(60))
MODEL = {"d_model": 16, "embedding_dim": 8, "num_heads": 2, "head_dim": 4, "window": 8}


def start(cwd: Path, *arguments: str) -> "subprocess.Popen[str]":
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PREFECT"))}
    environment |= {"LMCORE_HOME": str(cwd / "home"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "sweep", *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def write_config(folder: Path, *, max_steps: int) -> None:
    (folder / "text.txt").write_text(TEXT)
    config = {
        "name": "numbers",
        "sources": [{"path": "text.txt", "license": "CC0-1.0"}],
        "tokenizer": {"kind": "byte"},
        "model": MODEL,
        "training": {
            "max_steps": max_steps,
            "batch_size": 4,
            "sequence_length": 16,
            "precision": "float32",
            "learning_rate": 0.01,
        },
    }
    (folder / "numbers.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.slow
def test_a_stopped_sweep_goes_on_and_answers(tmp_path: Path) -> None:
    write_config(tmp_path, max_steps=30_000)
    with start(tmp_path, "--config", "numbers.yaml", "--rates", "2") as stopped:
        assert stopped.stderr is not None
        for line in stopped.stderr:
            if "tokenize" in line:
                stopped.send_signal(signal.SIGINT)
                break
        rest = stopped.stderr.read()
    assert stopped.returncode == 1, rest
    assert "Traceback" not in rest
    assert "the same command " in rest.splitlines()[-1]

    # Another budget: what was prepared is used again, what was trained is another run.
    options = ("--config", "numbers.yaml", "--rates", "2", "--set", "training.max_steps=100")
    done = start(tmp_path, *options, "--json")
    out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    answer = json.loads(out)
    assert answer["steps"] == 20
    assert answer["configured"] == 0.01
    assert answer["set"] == f"training.learning_rate={answer['recommended']!r}"
    rates = [run["learning_rate"] for run in answer["runs"]]
    assert rates == sorted(rates)
    assert {0.005, 0.01} <= set(rates)
    for run in answer["runs"]:
        assert (run["tune_bits_per_byte"] is None) == run["diverged"]
    best = min(
        (run for run in answer["runs"] if not run["diverged"]),
        key=lambda run: run["tune_bits_per_byte"]["value"],
    )
    assert best["minus_best"]["value"] == 0
    # No database of MLflow was made, and so nothing was registered.
    assert not (tmp_path / "home" / "mlflow" / "mlflow.db").exists()
    assert len([*(tmp_path / "home" / "content" / "documents").glob("[!.]*")]) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--rates", "1"), "1 is not in the range 2<=x<=9"),
        (("--config", "missing.yaml"), "missing.yaml: cannot be read"),
    ],
)
def test_wrong_input(tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    done = start(tmp_path, *arguments)
    out, err = done.communicate(timeout=60)
    assert done.returncode == 2
    assert expected in err
    assert "Traceback" not in err
    assert out == ""
