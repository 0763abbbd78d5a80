import json

import pytest

from flows.registry.run_result import Outcome, RunResult


@pytest.mark.parametrize(
    ("outcome", "code"), [("promoted", 0), ("registered", 0), ("skipped", 0), ("rejected", 3)]
)
def test_a_gate_that_kept_it_back_is_no_success(outcome: Outcome, code: int) -> None:
    result = RunResult(outcome=outcome, reason="r", task="language_modelling", model="stories")
    assert result.exit_code == code


def test_the_answer_is_json_without_the_place_of_the_report() -> None:
    result = RunResult(
        outcome="promoted",
        reason="better",
        task="sentiment",
        model="tone",
        version=3,
        champion=3,
        metrics={"accuracy": {"value": 0.8}},
        gates=[{"gate": "champion", "outcome": "PASS"}],
        seconds={"train": 1.5},
        report="/home/report.html",
    )
    answer = result.to_json()
    assert json.loads(json.dumps(answer)) == answer
    assert "report" not in answer
    assert RunResult(**answer, report=result.report) == result
