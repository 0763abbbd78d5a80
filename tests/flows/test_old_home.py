"""A home that an earlier release made goes on: shown, served, compared, rolled back, retrained.

How the home was made is in tests/homes/make.py.  It lies elsewhere now than where it was made.
"""

import json
import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lmcore_shell import Session, Shell

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

ARCHIVE = Path(__file__).parents[1] / "homes" / "before_rooms.tar.xz"
ANSWERS: dict[str, Any] = {}
with tarfile.open(ARCHIVE) as _archive:
    _stored = _archive.extractfile("./answers.json")
    assert _stored is not None
    # The one sentence that was mended since.
    _text = _stored.read().decode().replace("one of the 1 newest", "the newest")
    ANSWERS.update(json.loads(_text))
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


def served(shell: Shell, name: str, column: str, text: str, **params: Any) -> dict[str, Any]:
    store = f"sqlite:///{shell.home / 'mlflow' / 'mlflow.db'}"
    servers = {"MLFLOW_TRACKING_URI": store, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = shell.python("-c", SERVE, name, column, text, json.dumps(params), **servers)
    assert done.code == 0, done.err[-2000:]
    (answer,) = json.loads(done.out.splitlines()[-1])
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


@pytest.fixture(scope="module")
def session(old: Shell) -> Iterator[Session]:
    with old.opened() as opened:
        # The home has moved; a command of ours says where its files are.
        opened.run("status")
        yield opened


@pytest.fixture(scope="module")
def answered(old: Shell, session: Session) -> dict[str, Any]:
    """What is answered now, with the folder named as its release did."""
    folder = str(old.folder)
    found = {name: session.command(*name.split(), "--json").out for name in ANSWERS}
    return {name: json.loads(out.replace(folder, "FOLDER")) for name, out in found.items()}


@pytest.mark.parametrize("command", ANSWERS)
def test_it_answers_what_its_release_did(answered: dict[str, Any], command: str) -> None:
    compare(answered[command], ANSWERS[command], command)


@pytest.mark.usefixtures("session")
def test_its_versions_are_served_by_mlflow_alone(old: Shell) -> None:
    (generated,) = [answer for name, answer in ANSWERS.items() if name.startswith("generate")]
    options = {"max_tokens": 20, "temperature": 0.0, "seed": 1}
    found = served(old, "stories", "prompt", generated["prompt"], **options)
    assert found["text"] == generated["text"]
    (predicted,) = [answer for name, answer in ANSWERS.items() if name.startswith("predict")]
    prediction = predicted["predictions"][0]
    found = served(old, "tone", "text", prediction["input"])
    assert found["output"] == prediction["output"]


def test_pages_and_a_rebuild_are_made_of_it(old: Shell, session: Session) -> None:
    page = session.run("dashboard", "--out", "page.html")
    assert len(page["models"]) == 2
    assert "version 2" in (old.folder / "page.html").read_text()
    # One of its documents was forgotten since, so it cannot be made again, and that is said.
    again = session.run("reproduce", "2", "--model", "stories", code=3)
    assert not again["identical"]
    assert any("forgotten" in mismatch for mismatch in again["mismatches"]), again["mismatches"]
    # On another processor the bits may differ, and then that is named.
    done = session.command("reproduce", "1", "--model", "tone", "--json")
    assert done.code in (0, 3), done.err[-3000:]
    again = done.answer
    assert again["identical"] or again["mismatches"]


def test_its_champion_is_moved_and_moved_back(tmp_path: Path) -> None:
    shell = unpacked(tmp_path / "user")
    model = ("--model", "stories")
    promotion = ("promote", "3", "--reason", "because", *model)
    with shell.opened() as lmcore:
        assert lmcore.run(*promotion, code=3)["champion"] == 2
        lmcore.run(*promotion, "--override")
        first = lmcore.run("rollback", "--reason", "no better", *model)
        second = lmcore.run("rollback", "--reason", "worse", *model)
        after = lmcore.run("history", *model)
        monitored = lmcore.run("monitor", "--config", "stories.yaml")
    assert (first["champion"], second["champion"]) == (2, 1)
    events = after["events"]
    before = ANSWERS["history --model stories"]["events"]
    assert events[: len(before)] == before
    assert [e["action"] for e in events[len(before) :]] == ["override", "rollback", "rollback"]
    assert monitored["model"] == "stories"


@pytest.mark.long
def test_it_is_retrained_and_judged_against_its_champion(tmp_path: Path) -> None:
    with unpacked(tmp_path / "user").opened() as session:
        retrained_and_judged(session)


def retrained_and_judged(lmcore: Session) -> None:
    gone = next(e for e in lmcore.run("history", "--model", "stories")["events"] if not e["to"])
    for name, version, champion in (("stories", 4, 2), ("tone", 2, 1)):
        done = lmcore.command("run", "--config", f"{name}.yaml", "--json")
        assert done.code in (0, 3), done.err[-3000:]
        answer = done.answer
        assert answer["version"] == version, answer
        assert answer["champion"] in (version, champion)
        gate = next(gate for gate in answer["gates"] if gate["gate"] == "champion")
        assert gate["outcome"] in ("PASS", "FAIL", "INCONCLUSIVE"), gate
        assert gate["value"] is not None
        compared = lmcore.run("compare", str(champion), str(version), "--model", name)
        assert compared["documents"] > 0
    listed = lmcore.run("lineage", "4", "--model", "stories", "--documents", "1000")["list"]
    kept = {row["id"][:12] for row in listed}
    assert len(kept) == len(listed) > 300
    assert gone["reason"].partition("document ")[2][:12] not in kept


def test_its_deployments_name_flows_that_are_there(old: Shell) -> None:
    with sqlite3.connect(old.folder / "home" / "prefect" / "prefect.db") as prefect:
        stored = {row[0] for row in prefect.execute("select entrypoint from deployment")}
    assert stored <= ENTRYPOINTS
    assert len(stored) == 3
    done = old.python("-c", LOAD, *sorted(ENTRYPOINTS))
    assert done.code == 0, done.err[-2000:]
