from dataclasses import replace

import pytest

from flows.home.environment import Home
from flows.registry.connection import connect
from flows.registry.last_run import last_run, remember_run
from flows.registry.models import Registry
from flows.registry.run_result import Outcome, RunResult

TAG = "lmcore.last_run"


@pytest.fixture
def registry(home: Home) -> Registry:
    connect(home).create_registered_model("stories")
    return Registry(home)


def result(outcome: Outcome, reason: str = "better") -> RunResult:
    return RunResult(outcome=outcome, reason=reason, task="language_modelling", model="stories")


def test_the_last_run_takes_the_place_of_the_one_before(registry: Registry) -> None:
    assert last_run(registry, "stories") is None
    remember_run(registry, result("promoted"), schedule="0 3 * * 1")
    remember_run(registry, result("rejected", "“no” better\n"), schedule=None)
    found = last_run(registry, "stories")
    assert found is not None
    assert found.pop("at").endswith("+00:00")
    assert found == {
        "outcome": "rejected",
        "reason": "“no” better\n",
        "task": "language_modelling",
        "schedule": None,
        "seconds": {},
    }


def test_a_run_that_was_skipped_says_nothing_of_how_long_one_takes(registry: Registry) -> None:
    whole = replace(result("promoted"), seconds={"train": 60.0})
    remember_run(registry, whole, schedule=None)
    remember_run(registry, replace(result("skipped"), seconds={"total": 0.1}), schedule=None)
    found = last_run(registry, "stories")
    assert found is not None
    assert (found["outcome"], found["seconds"]) == ("skipped", {"train": 60.0})


def test_a_long_reason_is_cut(registry: Registry) -> None:
    remember_run(registry, result("rejected", "x" * 10_000), schedule=None)
    found = last_run(registry, "stories")
    assert found is not None
    assert len(found["reason"]) == 2000


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_what_somebody_edited_is_unknown(registry: Registry, text: str) -> None:
    registry.add_model_tag("stories", TAG, text)
    assert last_run(registry, "stories") is None


def test_a_model_that_does_not_exist_had_no_run(registry: Registry) -> None:
    assert last_run(registry, "nobody") is None
