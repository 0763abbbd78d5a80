from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Crashed, Failed

from flows.notices import failures
from lmcore.config import RunConfig, parse_config


def flow_run(**parameters: Any) -> FlowRun:
    return FlowRun(flow_id=uuid4(), name="wise-owl", parameters=parameters)


def config() -> RunConfig:
    return parse_config({"name": "stories", "sources": [{"path": "texts"}]}, where="test")


def test_a_failed_run_says_which_model_and_why(receiver: Any) -> None:
    # In the process of the run it is the value itself, from the server it is JSON.
    for value in (config(), config().model_dump(mode="json")):
        run = flow_run(config=value)
        failures.announce_failure(None, run, Failed(message="the disk is full"))
        post = receiver.posted.pop()
        assert (post["event"], post["model"]) == ("failed", "stories")
        assert (post["reason"], post["flow_run_id"]) == ("the disk is full", str(run.id))


@pytest.mark.parametrize("parameters", [{}, {"config": None}, {"config": {"name": ""}}])
def test_without_a_model_the_run_is_named(receiver: Any, parameters: dict[str, Any]) -> None:
    failures.announce_failure(None, flow_run(**parameters), Failed())
    [post] = receiver.posted
    assert post["model"] == "wise-owl"
    assert post["reason"] == "the run ended without a message"


@pytest.mark.parametrize("state", [Crashed(message="no heartbeat"), None])
def test_a_crash_is_told_of_the_run_that_the_server_names(
    receiver: Any, monkeypatch: pytest.MonkeyPatch, state: State[Any] | None
) -> None:
    run = flow_run(config={"name": "stories"})
    run.state = state

    class Client:
        def __enter__(self) -> SimpleNamespace:
            return SimpleNamespace(read_flow_run={run.id: run}.__getitem__)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(failures, "get_client", lambda sync_client: Client())
    failures.report_crash.fn(run.id)
    [post] = receiver.posted
    assert post["model"] == "stories"
    assert post["reason"] == ("no heartbeat" if state else "the run ended without a message")
