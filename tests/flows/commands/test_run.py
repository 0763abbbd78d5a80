"""`lmcore run`: what people see of it, and bad input; whole runs are in `test_pipeline.py`."""

import gzip
import json
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lmcore_shell import Shell

from flows.commands.run import _text
from flows.registry.run_result import RunResult
from lmcore.errors import ConfigError, SourceError

TEXT = "\n\n".join(f"Paragraph {i} says that number {i * i} follows {i}. " * 8 for i in range(60))


def bits(value: float) -> dict[str, Any]:
    return {"value": value, "lower": value - 0.25, "upper": value + 0.25, "unit": "bits/byte"}


def result(**changes: Any) -> RunResult:
    facts: dict[str, Any] = {
        "outcome": "promoted",
        "reason": "4 required gates passed",
        "task": "language_modelling",
        "model": "letters",
        "version": 2,
        "champion": 2,
        "metrics": {"params": {"value": 1_234_567.0, "unit": "parameters"}, "secret": bits(9.0)},
        "gates": [{"gate": "pii", "outcome": "WARN", "required": False, "reason": "ten"}],
        "seconds": {"train": 2.04, "total": 3.0},
    }
    return RunResult(**{**facts, **changes})


def shown(capsys: pytest.CaptureFixture[str], found: RunResult) -> list[str]:
    _text(found.to_json(), report=found.report)
    return capsys.readouterr().out.splitlines()


def test_people_see_outcome_gates_metrics_and_what_to_do_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics = {**result().metrics, "val_bits_per_byte": bits(1.5)}
    assert shown(capsys, result(metrics=metrics, report="home/report.html")) == [
        "PROMOTED: letters version 2",
        "  4 required gates passed",
        "",
        "  WARN         pii  ten (not required)",
        "",
        "  val_bits_per_byte            1.500 [1.250, 1.750] bits/byte",
        "  params                       1,234,567 parameters",
        "",
        "  seconds: train 2.0; total 3.0",
        "  report: home/report.html",
        "",
        '  lmcore generate --model letters --prompt "..."   continue a text',
        "  lmcore show 2 --model letters   metrics, gates, lineage, report",
        "  lmcore report 2 --model letters   the same as a page, in a browser",
        "  lmcore status   what is in use",
    ]


def test_where_nothing_was_trained_there_is_little_to_say(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = result(outcome="skipped", reason="nothing new", version=None, champion=None, metrics={})
    assert shown(capsys, RunResult(**{**found.to_json(), "gates": (), "seconds": {}})) == [
        "SKIPPED: letters",
        "  nothing new",
        "",
        "  lmcore status   what is in use",
    ]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("sentiment", '  lmcore predict --model letters "..."   label a text'),
        ("translation", '  lmcore predict --model letters "..."   translate a text'),
        ("summarization", '  lmcore predict --model letters "..."   summarize a text'),
    ],
)
def test_a_task_is_used_by_its_verb(
    capsys: pytest.CaptureFixture[str], task: str, expected: str
) -> None:
    assert shown(capsys, result(task=task))[-4] == expected


def test_nothing_is_begun_without_a_configuration_and_its_sources(
    empty_shell: Any, tmp_path: Path
) -> None:
    assert isinstance(empty_shell.refusal("run", "--config", "missing.yaml"), ConfigError)
    (tmp_path / "config.yaml").write_text(json.dumps(bad_config(path="gone.txt")))
    refused = empty_shell.refusal("run", "--config", "config.yaml", "--force")
    assert isinstance(refused, SourceError)
    assert "gone.txt" in str(refused)
    assert not (empty_shell.home.prefect / "server.log").exists()


def test_nothing_new_is_no_answer_to_a_schedule_that_cannot_be_kept(
    empty_shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text(json.dumps(bad_config()))
    monkeypatch.setattr(
        "flows.commands.shared.nothing_to_do.nothing_to_do", lambda config, home: result()
    )
    refused = empty_shell.refusal(
        "run", "--config", "config.yaml", "--set", "schedule.cron=0 3 * * 9"
    )
    assert isinstance(refused, ConfigError)
    assert "the scheduler cannot use it" in str(refused)


def bad_config(**changes: Any) -> dict[str, Any]:
    source = {"path": "input", "license": "CC0-1.0", **changes}
    return {"name": "bad", "sources": [source], "training": {"max_steps": 1}}


def gzip_bomb(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=9) as stream:
        for _ in range(300):
            stream.write(b"a" * (1 << 20))


BAD_INPUT: dict[str, tuple[str, Any, dict[str, Any], str]] = {
    "missing file": ("", None, {"path": "nowhere.txt"}, "nowhere.txt"),
    "empty file": ("input.txt", b"", {}, "input.txt"),
    "too small to split": ("input.txt", b"One short text.", {}, "1 document"),
    "invalid UTF-8": ("input.txt", b"\xfa\xff\xfe" * 50, {}, "UTF-8"),
    "binary": ("input.txt", b"\x7fELF\0\0\0\0" * 500, {}, "input.txt"),
    "no JSON": ("input.jsonl", b"not json\n" * 30, {}, "input.jsonl"),
    "no such column": ("input.csv", b"a,b\n1,2\n", {}, "'text'"),
    "bomb": ("input.txt.gz", gzip_bomb, {}, "input.txt.gz"),
    "licence": ("input.txt", TEXT.encode(), {"license": "do what you want"}, "do what you want"),
}


def servers_of(pid: int) -> list[str]:
    """Processes that one has begun, and that are web servers by now."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [n for n in children if b"serve_app" in Path(f"/proc/{n}/cmdline").read_bytes()]


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux", reason="children are looked up in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_before_the_first_step_leaves_no_server_and_nothing_half_made(
    tmp_path: Path, number: signal.Signals
) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "letters.txt").write_text(TEXT)
    (tmp_path / "config.yaml").write_text(json.dumps(bad_config(path="letters.txt")))
    run = shell.start("run", "--config", "config.yaml")
    # Signals are heard from before its server starts until the last word.
    while not (children := servers_of(run.pid)):
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(number)
    _, said = run.communicate(timeout=120)
    assert run.returncode == 1
    assert said.splitlines()[-1] == "lmcore: stopped by the user"
    assert "Traceback" not in said
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    with sqlite3.connect(shell.home / "mlflow" / "mlflow.db") as store:
        tables = store.execute("select count(*) from sqlite_master where name = 'runs'")
        assert tables.fetchone() == (0,) or not store.execute("select * from runs").fetchall()


@pytest.mark.slow
@pytest.mark.integration
def test_bad_input_is_one_sentence_and_nothing_is_registered(
    tmp_path: Path, begun: Callable[[Shell], Shell]
) -> None:
    shell, commands = begun(Shell(tmp_path)), []
    for number, (name, content, changes, _) in enumerate(BAD_INPUT.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        if callable(content):
            content(folder / name)
        elif content is not None:
            (folder / name).write_bytes(content)
        config = bad_config(**{"path": name, **changes})
        (folder / "config.yaml").write_text(json.dumps(config))
        commands.append(("run", "--config", f"{number}/config.yaml"))
    found = shell.session(commands)
    for number, (name, content, _, expected) in enumerate(BAD_INPUT.values()):
        done = found[number]
        assert done.code == 2, done.err
        (sentence,) = [line for line in done.err.splitlines() if line.startswith("lmcore: ")]
        assert expected in sentence
        assert "Traceback" not in done.err
        if content is not None and not callable(content):
            assert (tmp_path / str(number) / name).read_bytes() == content
    with sqlite3.connect(shell.home / "mlflow" / "mlflow.db") as store:
        assert store.execute("select count(*) from registered_models").fetchone() == (0,)
        assert store.execute("select count(*) from model_versions").fetchone() == (0,)
