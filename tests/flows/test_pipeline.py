"""The whole pipeline as a user's shell runs it: real Prefect, real MLflow, real processes."""

import contextlib
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pipeline_corpus as corpus
import pytest
from filelock import FileLock
from lmcore_shell import Shell

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]


def new_shell(folder: Path) -> Shell:
    corpus.write_corpus(folder)
    (folder / "config.yaml").write_text(corpus.CONFIG)
    return Shell(folder)


@dataclass
class Finished:
    shell: Shell
    answer: dict[str, Any]

    def copy(self, target: Path) -> Shell:
        """The same state to do something else with: a home may be copied anywhere."""
        shutil.copytree(self.shell.folder, target)
        return Shell(target)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One unbroken run with a hostile working directory."""
    shell = new_shell(tmp_path_factory.mktemp("finished") / "work")
    (shell.folder / "mlruns" / "0").mkdir(parents=True)
    (shell.folder / "prefect.toml").write_text('[api]\nurl = "http://127.0.0.1:9/api"\n')
    (shell.folder / ".env").write_text("PREFECT_API_URL=http://127.0.0.1:9/api\n")
    before = {path.name for path in shell.folder.iterdir()}
    answer = shell.run("run", "--config", "config.yaml")
    assert {path.name for path in shell.folder.iterdir()} == before | {"home"}
    return Finished(shell=shell, answer=answer)


def test_a_sound_first_model_is_promoted(finished: Finished) -> None:
    answer = finished.answer
    assert answer["outcome"] == "promoted"
    assert (answer["version"], answer["champion"]) == (1, 1)
    gates = {gate["gate"]: gate for gate in answer["gates"]}
    assert gates["champion"]["outcome"] == "SKIPPED"
    assert "NO_BASELINE" in gates["champion"]["reason"]
    for name in ("instrument", "competence", "overfitting", "provenance"):
        assert gates[name]["outcome"] == "PASS", gates[name]
    metrics = answer["metrics"]
    value = metrics["val_bits_per_byte"]
    assert value["lower"] < value["value"] < value["upper"]
    assert value["unit"] == "bits/byte"
    assert value["value"] < metrics["baseline_kn5_bits_per_byte"]["value"]
    for name in ("val_loss_nats_per_token", "train_bits_per_byte", "params"):
        assert name in metrics
    assert set(answer["fingerprints"]) == {"data", "tokenizer", "config", "weights"}
    assert {"ingest", "tokenize", "train", "evaluate", "register", "promote"} <= set(
        answer["seconds"]
    )


def test_prefect_and_mlflow_kept_the_run(finished: Finished) -> None:
    home = finished.shell.home
    with sqlite3.connect(home / "prefect" / "prefect.db") as prefect:
        flows = prefect.execute("select id, name, state_name, state_type from flow_run").fetchall()
        tasks = {row[0]: row[1] for row in prefect.execute("select name, state_name from task_run")}
        artifacts = {row[0] for row in prefect.execute("select key from artifact")}
        parameters = prefect.execute("select parameters from flow_run").fetchone()[0]
    assert [(row[1], row[2], row[3]) for row in flows] == [("stories", "Promoted", "COMPLETED")]
    assert finished.answer["prefect_flow_run_id"].replace("-", "") == flows[0][0].replace("-", "")
    assert set(tasks) == {
        "fingerprint sources",
        "ingest documents",
        "choose start stories",
        "tokenize documents",
        "train stories",
        "evaluate stories",
        "register stories",
        "promote stories",
    }
    assert set(tasks.values()) == {"Completed"}
    assert {"gates-stories", "summary-stories", "training-stories"} <= artifacts
    assert json.loads(parameters)["config"]["tokenizer"]["vocab_size"] == 400
    with sqlite3.connect(home / "mlflow" / "mlflow.db") as store:
        runs = store.execute("select run_uuid, status from runs").fetchall()
        steps = store.execute("select step from metrics where key = 'loss_nats'").fetchall()
        params = dict(store.execute("select key, value from params").fetchall())
    assert runs == [(finished.answer["mlflow_run_id"], "FINISHED")]
    assert len(steps) == len(set(steps)) > 2
    assert params["model.pattern"] == "LA"


@pytest.fixture(scope="module")
def later(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a copy of that home answers afterwards, command after command."""
    shell = finished.copy(tmp_path_factory.mktemp("later") / "work")
    run = ("run", "--config", "config.yaml")
    promotion = ("promote", "2", "--reason", "a person decided")
    with shell.opened() as lmcore:
        with FileLock(shell.home / "locks" / "run-stories.lock"):
            answers = {"in progress": lmcore.run(*run, "--force")}
        answers |= {
            "nothing new": lmcore.run(*run),
            "versions then": lmcore.run("versions"),
            "status then": lmcore.run("status"),
            "forced": lmcore.run(*run, "--force", code=3),
            "refused": lmcore.run(*promotion, code=3),
            "compared": lmcore.run("compare", "1", "2"),
            "overridden": lmcore.run(*promotion, "--override"),
            "back": lmcore.run("rollback", "--reason", "it was no better"),
            "history": lmcore.run("history"),
        }
        corpus.write_corpus(shell.folder, documents=200, start=1000)
        answers |= {
            # A tokenizer of its own: the gain is small enough for a gate to see the difference.
            "better": lmcore.run(
                *run, "--set", "training.max_steps=400", "--set", "keep_tokenizer=null"
            ),
            "status": lmcore.run("status"),
            "better compared": lmcore.run("compare", "3", "1"),
        }
    return answers


def test_another_run_of_the_model_gives_way(later: dict[str, Any]) -> None:
    answer = later["in progress"]
    assert answer["outcome"] == "skipped"
    assert "in progress" in answer["reason"]


def test_nothing_new_registers_nothing(later: dict[str, Any]) -> None:
    answer = later["nothing new"]
    assert answer["outcome"] == "skipped"
    assert "nothing new" in answer["reason"]
    assert "version 1" in answer["reason"]
    assert (answer["version"], answer["champion"]) == (None, 1)
    assert [v["version"] for v in later["versions then"]["versions"]] == [1]
    status = later["status then"]["models"][0]
    assert (status["champion"], status["last_run"]["outcome"]) == (1, "skipped")


def test_the_same_model_again_is_a_tie_and_not_promoted(
    finished: Finished, later: dict[str, Any]
) -> None:
    answer = later["forced"]
    assert answer["outcome"] == "rejected"
    assert (answer["version"], answer["champion"]) == (2, 1)
    gate = next(gate for gate in answer["gates"] if gate["gate"] == "champion")
    assert gate["outcome"] in ("FAIL", "INCONCLUSIVE")
    assert gate["value"] == 0.0
    assert answer["fingerprints"]["weights"] == finished.answer["fingerprints"]["weights"]


def test_a_person_may_promote_it_and_go_back(later: dict[str, Any]) -> None:
    assert later["refused"]["promoted"] is False
    assert later["compared"]["difference"]["value"] == 0.0
    assert later["overridden"]["champion"] == 2
    assert later["back"]["champion"] == 1
    events = later["history"]["events"]
    assert [(e["action"], e["from"], e["to"]) for e in events] == [
        ("promote", None, 1),
        ("reject", 1, 2),
        ("override", 1, 2),
        ("rollback", 2, 1),
    ]
    assert events[-1]["reason"] == "it was no better"


def test_a_better_model_replaces_the_champion(later: dict[str, Any]) -> None:
    answer = later["better"]
    assert answer["outcome"] == "promoted", answer["reason"]
    assert (answer["version"], answer["champion"]) == (3, 3)
    status = later["status"]["models"][0]
    assert (status["champion"], status["previous"]) == (3, 1)
    assert "Version 3 is better" in later["better compared"]["sentence"]


@pytest.fixture(scope="module")
def used(finished: Finished) -> dict[str, Any]:
    """What commands answer that only look."""
    shell = finished.shell
    generate = ("generate", "--prompt", "Alexandria", "--max-tokens", "20", "--seed", "1")
    (shell.folder / "new.txt").write_text("\n\n".join(corpus.document(i) for i in range(900, 920)))
    (shell.folder / "noise.txt").write_text("qzx " * 400)
    page = shell.home / "dashboard.html"
    answers = {"page of the run": page.read_text()}
    page.unlink()
    with shell.opened() as lmcore:
        return answers | {
            "generated": lmcore.run(*generate),
            "again": lmcore.run(*generate),
            "new": lmcore.run("score", "new.txt"),
            "noise": lmcore.run("score", "noise.txt"),
            "shown": lmcore.run("show", "1"),
            "dashboard": lmcore.run("dashboard"),
        }


def test_the_commands_use_the_champion(used: dict[str, Any]) -> None:
    generated = used["generated"]
    assert generated["text"] == used["again"]["text"]
    assert generated["version"] == 1
    assert 0 < generated["tokens"] <= 20
    known, noise = (used[name]["bits_per_byte"] for name in ("new", "noise"))
    assert known["lower"] <= known["value"] <= known["upper"] < 1 < noise["value"]
    shown = used["shown"]
    assert shown["outcome"] == "promoted"
    assert shown["lineage"]["sources"][0]["license"] == "CC0-1.0"
    report = Path(shown["report"]).read_text()
    assert "<script" not in report
    assert "Alexandria" in report
    assert Path(shown["card"]).read_text().startswith("---\n")


def test_the_run_left_a_dashboard(finished: Finished, used: dict[str, Any]) -> None:
    for part in (
        "version 1, the first champion",
        "Wall-clock time by step",
        "CC0-1.0",
        "competence: PASS",
    ):
        assert part in used["page of the run"]
    answer, path = used["dashboard"], finished.shell.home / "dashboard.html"
    assert answer["path"] == str(path)
    assert answer["bytes"] == path.stat().st_size
    assert len(answer["models"]) == 1


def test_pyfunc_and_a_real_server_answer(finished: Finished) -> None:
    shell = finished.shell
    (card,) = shell.home.glob("mlflow/artifacts/models/*/artifacts/data/version/README.md")
    (snippet,) = re.findall(r"```python\n(.*?)```", card.read_text(), re.DOTALL)
    done = shell.python("-c", snippet, MLFLOW_DISABLE_TELEMETRY="true")
    assert done.code == 0, done.err[-2000:]
    assert "text" in done.out


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    for _ in range(30_000):
        if condition():
            return
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    raise AssertionError("the condition never came true")


def some(folder: Path, pattern: str) -> bool:
    return any(folder.glob(pattern))


KILL_WHEN: dict[str, Callable[[Path], bool]] = {
    "ingest": lambda home: some(home, "content/documents/.*.partial"),
    "train": lambda home: some(home, "work/*/plan.json"),
    "evaluate": lambda home: some(home, "content/evaluation/.*.partial"),
    "register": lambda home: some(home, "mlflow/artifacts/models/*"),
}


@pytest.mark.long
def test_a_run_killed_in_every_step_goes_on_and_equals_an_unbroken_one(
    finished: Finished, tmp_path: Path, begun: Callable[[Shell], Shell]
) -> None:
    shell = begun(new_shell(tmp_path / "work"))
    command = ("run", "--config", "config.yaml", "--set", "training.checkpoint_seconds=0.2")
    kept: set[str] = set()
    for step, come_so_far in KILL_WHEN.items():
        process = shell.start(*command)
        wait_for(lambda: come_so_far(shell.home), process)  # noqa: B023 (called within the loop)
        if step == "train":
            saved = "work/**/step-*/manifest.json"
            wait_for(lambda: len(list(shell.home.glob(saved))) > 0, process)  # noqa: B023
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert kept <= content_of(shell.home), step
        kept = content_of(shell.home)
    answer = shell.run(*command)
    assert answer["outcome"] == "promoted"
    assert answer["version"] == 1
    assert answer["fingerprints"]["weights"] == finished.answer["fingerprints"]["weights"]
    assert kept <= content_of(shell.home)
    with sqlite3.connect(shell.home / "mlflow" / "mlflow.db") as store:
        runs = store.execute("select status from runs").fetchall()
        steps = store.execute("select step from metrics where key = 'loss_nats'").fetchall()
        versions = store.execute("select count(*) from model_versions").fetchone()
    assert runs == [("FINISHED",)]
    assert len(steps) == len(set(steps))
    assert versions == (1,)


def content_of(home: Path) -> set[str]:
    return {p.name for p in home.glob("content/*/*") if p.is_dir() and p.name[0] != "."}


def in_training(home: Path) -> bool:
    """Whether Prefect has a training that runs."""
    database = home / "prefect" / "prefect.db"
    if not database.exists() or not some(home, "work/*/plan.json"):
        return False
    asked = "select count(*) from task_run where name = 'train stories' and state_type = 'RUNNING'"
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as prefect:
        try:
            return prefect.execute(asked).fetchone() == (1,)
        except sqlite3.OperationalError:  # its tables are being made, or it writes just now
            return False


@pytest.fixture(scope="module")
def stopped(
    tmp_path_factory: pytest.TempPathFactory, begun: Callable[[Shell], Shell]
) -> dict[str, Any]:
    """What a run answers that was stopped twice, once with each signal; promotion is off."""
    shell = begun(new_shell(tmp_path_factory.mktemp("stopped") / "work"))
    command = ("run", "--config", "config.yaml", "--set", "promote=false")
    for count, number in enumerate((signal.SIGHUP, signal.SIGTERM), start=1):
        process = shell.start(*command)
        wait_for(lambda: in_training(shell.home), process)
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 1, err
        assert err.count("same command") == 1
        assert "Traceback" not in err
        with sqlite3.connect(shell.home / "prefect" / "prefect.db") as prefect:
            states = prefect.execute("select state_type from flow_run").fetchall()
        assert states == [("CANCELLED",)] * count
    return shell.run(*command)


def test_signals_save_and_say_how_to_go_on(finished: Finished, stopped: dict[str, Any]) -> None:
    # The same data, configuration and thread count give the same bits in another home.
    assert stopped["fingerprints"]["weights"] == finished.answer["fingerprints"]["weights"]


def test_promotion_switched_off_registers_only(stopped: dict[str, Any]) -> None:
    found = (stopped["outcome"], stopped["version"], stopped["champion"])
    assert found == ("registered", 1, None)


def flip(path: Path, place: int) -> bytes:
    """Change one bit of a file; returns what was in it."""
    before = path.read_bytes()
    data = bytearray(before)
    data[place] ^= 1
    path.write_bytes(data)
    return before


def test_damaged_documents_and_weights_are_made_again_or_named_and_never_used(
    finished: Finished, tmp_path: Path
) -> None:
    shell = finished.copy(tmp_path / "damaged")
    again = ("run", "--config", "config.yaml", "--force")
    documents = next(shell.home.glob("content/documents/*/documents-00000.parquet"))
    with shell.opened() as lmcore:
        whole = flip(documents, documents.stat().st_size // 2)
        assert lmcore.run(*again, code=3)["version"] == 2
        assert documents.read_bytes() == whole
        mended = [e["reason"] for e in lmcore.run("history")["events"] if e["action"] == "mend"]
        assert [str(documents.parent) in reason for reason in mended] == [True]

        weights = list(shell.home.glob("mlflow/artifacts/**/model.safetensors"))
        before = [flip(path, -1) for path in weights]
        # What is kept a second time is put back.
        lmcore.run("show", "1")
        assert sum(path.read_bytes() in before for path in weights) == 1
        shutil.rmtree(shell.home / "kept")
        for path in (*weights, *shell.home.glob("content/checkpoint/*/*/model.safetensors")):
            flip(path, -2)
        for command in (("generate", "--prompt", "x"), ("show", "1"), ("score", "config.yaml")):
            assert "sha256" in lmcore.run(*command, code=2)["error"]
        # Nobody is promoted over a champion that cannot be compared with. The same training would
        # bring its very weights back.
        answer = lmcore.run(*again, "--set", "training.seed=9", code=3)
    gate = next(gate for gate in answer["gates"] if gate["gate"] == "champion")
    assert (gate["outcome"], "INCOMPARABLE" in gate["reason"]) == ("INCONCLUSIVE", True)
