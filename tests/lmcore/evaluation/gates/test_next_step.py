import typing

import pytest

from lmcore.evaluation.config import GateName
from lmcore.evaluation.gates.next_step import next_step


@pytest.mark.parametrize("gate", typing.get_args(GateName))
@pytest.mark.parametrize("outcome", ["FAIL", "INCONCLUSIVE"])
def test_every_gate_that_can_keep_a_version_back_has_a_next_step(gate: str, outcome: str) -> None:
    assert next_step({"gate": gate, "outcome": outcome})


@pytest.mark.parametrize("outcome", ["PASS", "WARN", "SKIPPED"])
def test_what_keeps_nothing_back_asks_for_nothing(outcome: str) -> None:
    assert next_step({"gate": "champion", "outcome": outcome}) is None


def test_a_code_says_more_than_the_gate() -> None:
    gate = {"gate": "champion", "outcome": "INCONCLUSIVE"}
    step = next_step({**gate, "evidence": {"code": "TOO_SMALL_A_BUDGET"}})
    assert step is not None
    assert "gates.evaluation.budget_seconds" in step
    assert next_step({**gate, "evidence": "no mapping"}) == next_step(gate)


def test_a_gate_of_another_release_has_none() -> None:
    assert next_step({"gate": "charm", "outcome": "FAIL"}) is None
