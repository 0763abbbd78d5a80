"""The runner: every result once, counted, resumable, on one process or several."""

import sys

import pytest

from lmcore.controls import matrix
from lmcore.controls.catalogue import controls
from lmcore.controls.control import Control, by_seed
from lmcore.controls.matrix import (
    control_modules,
    counted,
    estimated_seconds,
    planned,
    run_matrix,
)
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.result import GateResult

GATES = GatesConfig.default()


class Cases:
    """Controls that cost nothing and remember when they were run."""

    def __init__(self):
        self.ran = []

    def control(self, name, outcomes, kind="negative", **facts):
        def case(seed):
            self.ran.append((name, seed))
            if outcomes[seed] == "broken":
                raise EmptyEvaluationError("nothing to measure")
            return GateResult(
                gate="champion",
                required=True,
                outcome=outcomes[seed],
                reason="",
                value=seed / 10,
                limit=0.5,
                unit="bits/byte",
            )

        return Control(gate="champion", name=name, kind=kind, run=by_seed(case), **facts)


@pytest.fixture
def cases():
    return Cases()


def run(tasks, folder, **options):
    return run_matrix(tasks, folder=folder, gates=GATES, **options)


def test_results_are_counted_by_control(cases, tmp_path):
    rows = [
        cases.control("noise", ["FAIL", "PASS", "FAIL", "INCONCLUSIVE"]),
        cases.control("sound", ["PASS"] * 4, "healthy"),
        cases.control(
            "equal", ["FAIL", "INCONCLUSIVE", "PASS", "FAIL"], expects=frozenset({"FAIL", "PASS"})
        ),
    ]
    found = dict(counted(run(planned(rows, seeds=4), tmp_path)))
    assert [c.as_expected for c in found.values()] == [2, 4, 3]
    assert [c.seeds for c in found.values()] == [4, 4, 4]
    noise = found[rows[0]]
    assert noise.outcomes == {"FAIL": 2, "INCONCLUSIVE": 1, "PASS": 1}
    assert noise.values == [0.0, 0.1, 0.2, 0.3]
    assert (noise.unit, noise.limit) == ("bits/byte", 0.5)
    assert noise.missed


def test_a_case_without_evidence_is_inconclusive_and_so_not_caught(cases, tmp_path):
    row = cases.control("empty", ["broken"])
    ((_, found),) = counted(run(planned([row], seeds=1), tmp_path))
    assert found.outcomes == {"INCONCLUSIVE": 1}
    assert found.as_expected == 0


def test_a_stopped_matrix_goes_on_and_a_finished_one_is_only_read(cases, tmp_path):
    row = cases.control("noise", ["FAIL"] * 6)
    tasks = planned([row], seeds=6)
    first = run(tasks, tmp_path, should_stop=lambda: len(cases.ran) >= 2)
    assert len(first) == 2
    second = run(tasks, tmp_path)
    assert cases.ran == [("noise", seed) for seed in range(6)]
    assert [task.seed for task, _ in second] == list(range(6))
    seen = []
    run(tasks, tmp_path, on_run=lambda task, result: seen.append(task.seed))
    assert len(cases.ran) == 6
    assert seen == list(range(6))
    # More seeds add to those that are there.
    run(planned([cases.control("noise", ["FAIL"] * 9)], seeds=8), tmp_path)
    assert len(cases.ran) == 8


def test_other_limits_are_another_gate_and_are_tried_again(cases, tmp_path):
    tasks = planned([cases.control("noise", ["FAIL"])], seeds=1)
    run(tasks, tmp_path)
    other = GatesConfig.model_validate({"champion": {"min_gain_bits_per_byte": 0.1}})
    run_matrix(tasks, folder=tmp_path, gates=other)
    run_matrix(tasks, folder=tmp_path, gates=GATES)
    assert len(cases.ran) == 2


def test_cheap_controls_get_more_seeds_unless_a_number_is_asked_for(cases):
    cheap = cases.control("cheap", [], cost_seconds=0.1)
    dear = cases.control("dear", [], cost_seconds=30.0)
    tasks = planned([cheap, dear], seeds=None)
    seeds = {c: [t.seed for t in tasks if t.control is c] for c in (cheap, dear)}
    assert [len(s) for s in seeds.values()] == [100, 20]
    # The controls of a seed stand together, since they share its models.
    assert [t.seed for t in tasks] == sorted(t.seed for t in tasks)
    assert len(planned([cheap, dear], seeds=3)) == 6
    one = estimated_seconds(tasks, processes=1)
    assert estimated_seconds(tasks, processes=2) == pytest.approx(one / 2)


@pytest.mark.slow
def test_seeds_are_dealt_to_processes(tmp_path):
    chosen = [c for c in controls("instrument") if c.name == "not a number"]
    found = run(planned(chosen, seeds=2), tmp_path, processes=2)
    assert [task.seed for task, _ in found] == [0, 1]
    assert [result.result.outcome for _, result in found] == ["FAIL", "FAIL"]
    # What the benches made is gone, the results are there.
    assert list((tmp_path / "benches").iterdir()) == []


def test_a_process_that_ends_early_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(matrix, "_work", sys.exit)
    tasks = planned(controls("competence")[:1], seeds=2)
    with pytest.raises(matrix.ControlWorkerError, match="2 results missing"):
        run(tasks, tmp_path, processes=2)


def test_every_control_says_which_code_it_is():
    for control in controls():
        rooms = {module.rpartition(".")[0] for module in control_modules(control)}
        assert rooms - {"lmcore.controls"}, control.name
