from typing import Any

import pytest

from flows.commands.status import _next_runs
from flows.progress.board import posted
from flows.progress.job import Snapshot
from flows.registry.last_run import remember_run
from flows.registry.models import Registry
from flows.registry.run_result import RunResult
from lmcore.errors import NotFoundError


def test_the_champion_is_shown_with_what_it_reached(shell: Any) -> None:
    assert shell.lines("status") == [
        "speeches (language_modelling)",
        "  champion    version 1",
        "  previous    -",
        "  challenger  -",
        "  validation  1.500 [1.250, 1.750] bits/byte",
        "  schedule    -",
    ]


def test_metrics_are_those_of_the_champion(shell: Any) -> None:
    shell.answer("promote", "2", "--reason", "I like it", "--override")
    (model,) = shell.answer("status")["models"]
    assert (model["champion"], model["previous"], model["metrics"]) == (2, 1, {})


def test_the_last_run_and_its_schedule(shell: Any) -> None:
    result = RunResult(
        outcome="rejected", reason="no\nbetter", task="language_modelling", model="speeches"
    )
    remember_run(Registry(shell.home), result, schedule="0 3 * * 1 (UTC)")
    (model,) = shell.answer("status", "--model", "speeches")["models"]
    assert set(model["last_run"]) == {"outcome", "at", "reason"}
    assert len(model["next_runs"]) == 5
    last, schedule, first, *others = shell.lines("status")[-7:]
    assert last == f"  last run    rejected at {model['last_run']['at']}: no better"
    assert schedule == "  schedule    0 3 * * 1 (UTC)"
    assert [first, *others] == [
        f"  {'next runs' if run == model['next_runs'][0] else '':<11} {run}"
        for run in model["next_runs"]
    ]


def test_what_runs_is_shown_also_before_there_is_a_model(empty_shell: Any) -> None:
    with posted(empty_shell.home.running, "run-tales") as notice:
        assert notice is not None
        now = Snapshot(
            name="run", model="tales", step="train", done=3, total=9, loss_nats=2.5, step_left=60.0
        )
        notice.write(now)
        (job,) = empty_shell.answer("status")["running"]
        assert (job["model"], job["step"], job["loss_nats"]) == ("tales", "train", 2.5)
        assert (job["done"], job["total"], job["seconds_left"]) == (3, 9, 60)
        title, sentence, *_ = empty_shell.lines("status")
    assert title == "running: run tales"
    assert sentence == "  train: 3 of 9, about 1 min 00 s left"
    assert empty_shell.answer("status")["running"] == []


def test_a_clock_that_changes_between_two_runs_is_pointed_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _next_runs(["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00", "2026-10-27T02:30+01:00"])
    assert [line[14:] for line in capsys.readouterr().out.splitlines()] == [
        "2026-10-25T02:30+02:00",
        "2026-10-26T02:30+01:00   clocks have changed",
        "2026-10-27T02:30+01:00",
    ]


def test_a_home_without_models_has_none_to_show(empty_shell: Any) -> None:
    assert empty_shell.answer("status") == {"models": [], "running": []}
    (line,) = empty_shell.lines("status")
    assert line.startswith(f"There is no model in {empty_shell.home.root} yet: `lmcore run` makes")
    error = empty_shell.refusal("status", "--model", "tales")
    assert isinstance(error, NotFoundError)
    assert str(error) == "model 'tales' does not exist; none is registered yet."


def test_a_version_that_waits_for_a_person_is_the_challenger(
    empty_shell: Any, register: Any
) -> None:
    register(tags={"task": "sentiment"})
    (model,) = empty_shell.answer("status")["models"]
    assert (model["task"], model["champion"], model["challenger"]) == ("sentiment", None, 1)
    assert "  challenger  version 1" in empty_shell.lines("status")
