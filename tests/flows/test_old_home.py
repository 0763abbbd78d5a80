"""A home that an earlier release made goes on: shown, served, compared, rolled back, retrained.

How the home was made is in tests/homes/make.py.  It lies elsewhere now than where it was made.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

ARCHIVE = Path(__file__).parents[1] / "homes" / "before_rooms.tar.xz"
ANSWERS: dict[str, Any] = {}
with tarfile.open(ARCHIVE) as _archive:
    _stored = _archive.extractfile("./answers.json")
    assert _stored is not None
    ANSWERS.update(json.load(_stored))
# What the deployments of `lmcore up` and of prefect.yaml named, and what flow runs were made of.
ENTRYPOINTS = {
    "flows.pipeline.retrain",
    "flows.watch_sources.watch",
    "flows.failures.report_crash",
    "flows.monitor_drift.monitor",
    "flows.timeline.timeline",
}
SERVE = """
import json, sys, mlflow.pyfunc, pandas
_, name, column, text, params = sys.argv
model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
found = model.predict(pandas.DataFrame({column: [text]}), params=json.loads(params))
print(json.dumps(found.to_dict("records")))
"""
LOAD = """
import sys
from flows.home.environment import prepare
prepare()
from prefect.flows import load_flow_from_entrypoint
print([load_flow_from_entrypoint(name).name for name in sys.argv[1:]])
"""


class Shell:
    """The folder of a user, with a home in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PREFECT"))}
        self.environment = {**kept, "LMCORE_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}

    def start(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-W", "ignore", *words],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
        done = self.start("-m", "flows.cli", *arguments, "--json")
        assert done.returncode in codes, done.stderr[-3000:]
        answer = json.loads(done.stdout.replace(str(self.folder), "FOLDER"))
        assert isinstance(answer, dict)
        return answer

    def served(self, name: str, column: str, text: str, **params: Any) -> dict[str, Any]:
        store = f"sqlite:///{self.folder / 'home' / 'mlflow' / 'mlflow.db'}"
        words = ("-c", SERVE, name, column, text, json.dumps(params))
        done = self.start(*words, MLFLOW_TRACKING_URI=store, MLFLOW_DISABLE_TELEMETRY="true")
        assert done.returncode == 0, done.stderr[-2000:]
        (answer,) = json.loads(done.stdout.splitlines()[-1])
        assert isinstance(answer, dict)
        return answer


def unpacked(folder: Path) -> Shell:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return Shell(folder)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """For tests that only look."""
    return unpacked(tmp_path_factory.mktemp("old") / "user")


def compare(found: Any, before: Any, where: str) -> None:
    """What was answered then is answered now; there may be more."""
    if isinstance(before, dict):
        assert isinstance(found, dict), where
        assert before.keys() <= found.keys(), where
        for key, value in before.items():
            compare(found[key], value, f"{where}.{key}")
    elif isinstance(before, list):
        assert isinstance(found, list), where
        assert len(found) == len(before), where
        for number, (one, value) in enumerate(zip(found, before, strict=True)):
            compare(one, value, f"{where}[{number}]")
    elif isinstance(before, float):
        assert found == pytest.approx(before, rel=1e-4, abs=1e-6), where
    else:
        assert found == before, where


@pytest.mark.parametrize("command", ANSWERS)
def test_it_answers_what_its_release_did(old: Shell, command: str) -> None:
    compare(old.run(*command.split()), ANSWERS[command], command)


def test_its_versions_are_served_by_mlflow_alone(old: Shell) -> None:
    old.run("status")  # the home has moved; a command of ours says where its files are
    (generated,) = [answer for name, answer in ANSWERS.items() if name.startswith("generate")]
    options = {"max_tokens": 20, "temperature": 0.0, "seed": 1}
    found = old.served("stories", "prompt", generated["prompt"], **options)
    assert found["text"] == generated["text"]
    (predicted,) = [answer for name, answer in ANSWERS.items() if name.startswith("predict")]
    prediction = predicted["predictions"][0]
    found = old.served("tone", "text", prediction["input"])
    assert found["output"] == prediction["output"]


def test_pages_and_a_rebuild_are_made_of_it(old: Shell) -> None:
    page = old.run("dashboard", "--out", "page.html")
    assert len(page["models"]) == 2
    assert "version 2" in (old.folder / "page.html").read_text()
    # One of its documents was forgotten since, so it cannot be made again, and that is said.
    again = old.run("reproduce", "2", "--model", "stories", codes=(3,))
    assert not again["identical"]
    assert any("forgotten" in mismatch for mismatch in again["mismatches"]), again["mismatches"]
    # On another processor the bits may differ, and then that is named.
    again = old.run("reproduce", "1", "--model", "tone", codes=(0, 3))
    assert again["identical"] or again["mismatches"]


def test_its_champion_is_moved_and_moved_back(tmp_path: Path) -> None:
    shell = unpacked(tmp_path / "user")
    model = ("--model", "stories")
    assert shell.run("promote", "3", "--reason", "because", *model, codes=(3,))["champion"] == 2
    shell.run("promote", "3", "--reason", "because", "--override", *model)
    assert shell.run("rollback", "--reason", "no better", *model)["champion"] == 2
    assert shell.run("rollback", "--reason", "worse", *model)["champion"] == 1
    events = shell.run("history", *model)["events"]
    before = ANSWERS["history --model stories"]["events"]
    assert events[: len(before)] == before
    assert [e["action"] for e in events[len(before) :]] == ["override", "rollback", "rollback"]
    assert shell.run("monitor", "--config", "stories.yaml")["model"] == "stories"


def test_it_is_retrained_and_judged_against_its_champion(tmp_path: Path) -> None:
    shell = unpacked(tmp_path / "user")
    gone = next(e for e in shell.run("history", "--model", "stories")["events"] if not e["to"])
    for name, version, champion in (("stories", 4, 2), ("tone", 2, 1)):
        answer = shell.run("run", "--config", f"{name}.yaml", codes=(0, 3))
        assert answer["version"] == version, answer
        assert answer["champion"] in (version, champion)
        gate = next(gate for gate in answer["gates"] if gate["gate"] == "champion")
        assert gate["outcome"] in ("PASS", "FAIL", "INCONCLUSIVE"), gate
        assert gate["value"] is not None
        compared = shell.run("compare", str(champion), str(version), "--model", name)
        assert compared["documents"] > 0
    listed = shell.run("lineage", "4", "--model", "stories", "--documents", "1000")["list"]
    kept = {row["id"][:12] for row in listed}
    assert len(kept) == len(listed) > 300
    assert gone["reason"].partition("document ")[2][:12] not in kept


def test_its_deployments_name_flows_that_are_there(old: Shell) -> None:
    with sqlite3.connect(old.folder / "home" / "prefect" / "prefect.db") as prefect:
        stored = {row[0] for row in prefect.execute("select entrypoint from deployment")}
    assert stored <= ENTRYPOINTS
    assert len(stored) == 3
    done = old.start("-c", LOAD, *sorted(ENTRYPOINTS))
    assert done.returncode == 0, done.stderr[-2000:]
