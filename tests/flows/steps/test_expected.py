from pathlib import Path
from typing import Any

import pytest

from flows.steps.expected import expect_steps, expected_seconds, steps_of
from lmcore.config import RunConfig


def config(**training: Any) -> RunConfig:
    source = {"path": str(Path.cwd()), "license": "CC0-1.0"}
    return RunConfig.model_validate(
        {"name": "tales", "sources": [source], "training": training or {"max_steps": 9}}
    )


def test_a_run_takes_as_long_as_the_last_one_and_its_training_as_its_budget() -> None:
    last = {"seconds": {"ingest": 2, "train": 300.0, "evaluate": 60.5}}
    assert expected_seconds(config(), last) == {"ingest": 2.0, "train": 300.0, "evaluate": 60.5}
    assert expected_seconds(config(budget_seconds=15), last)["train"] == 15.0


@pytest.mark.parametrize("last", [None, {}, {"seconds": "long"}, {"seconds": {"train": "x"}}])
def test_what_nobody_knows_is_left_out(last: Any) -> None:
    assert expected_seconds(config(), last) == {}


def test_the_steps_are_said_before_the_first_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    steps = steps_of(config())
    assert steps[-4:] == ("train", "evaluate", "register", "promote")
    expect_steps(config(), {"seconds": dict.fromkeys(steps, 10.0)})
    assert caplog.messages[-1] == (
        "run: fingerprint, ingest, tokenize, train, evaluate, register, promote; about"
        " 1 min 10 s, as the last run took"
    )
