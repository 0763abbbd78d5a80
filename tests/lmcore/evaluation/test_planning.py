"""A budget is turned into counts once; what comes after never asks the clock."""

from dataclasses import replace

import pytest

from lmcore.content_store import ContentStore
from lmcore.evaluation import planning
from lmcore.evaluation.budget.language import Speeds
from lmcore.evaluation.budget.plan import AS_CONFIGURED
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.inputs import Challenge
from lmcore.evaluation.planning import PlannedEvaluation, planned_evaluation

pytestmark = pytest.mark.usefixtures("one_thread")

SLOW = Speeds(score=500, step=0.001, write=0.05, lanes=32, draw=0.001, bytes_per_token=4.0)


def gates(seconds, **evaluation):
    values = {"resamples": 1000, "free_samples": 50, "budget_seconds": seconds, **evaluation}
    return GatesConfig.model_validate({"evaluation": values})


@pytest.fixture
def machine(monkeypatch):
    """A machine whose speed is known: what it was asked to time, and how fast it is."""
    asked = []

    def measured(candidate, texts, *, champion=None):
        asked.append((candidate, texts, champion))
        return SLOW if champion is None else replace(SLOW, champion=2_000.0)

    monkeypatch.setattr(planning, "measure_speeds", measured)
    return asked


@pytest.fixture
def planned(easy, tmp_path, machine):
    store = ContentStore(tmp_path)

    def make(seconds, **challenge):
        given = Challenge(checkpoint=easy.checkpoint, **challenge)
        return planned_evaluation(store, easy.corpus, challenge=given, gates=gates(seconds))

    make.root = tmp_path
    return make


def test_without_a_budget_no_model_is_loaded_and_nothing_is_timed_or_kept(planned, machine):
    assert planned(None) == AS_CONFIGURED
    assert not machine
    assert not list(planned.root.iterdir())


def test_the_clock_is_asked_once(planned, machine):
    first = planned(30)
    assert planned(30) == first
    assert len(machine) == 1
    _, texts, champion = machine[0]
    assert len(texts) == 24
    assert champion is None
    planned(31)
    assert len(machine) == 2


def test_there_is_as_much_as_would_be_asked_without_a_budget(planned, easy):
    most = {name: amount.most for name, amount in planned(30).amounts.items()}
    assert most == {
        "validation_documents": 24,
        "fresh_documents": 0,
        "anchor_documents": 0,
        "train_documents": most["train_documents"],
        "instrument_texts": 4,
        "samples": 4,
        "elicited_texts": 32,
        "free_samples": 50,
        "canary_references": 0,
        "bias_words": 0,
        "probe_pairs": 0,
    }
    assert 10 <= most["train_documents"] <= 60


def test_a_champion_is_timed_and_a_damaged_one_is_left_to_its_gate(planned, machine, easy):
    plan = planned(30, champion=easy.as_champion())
    assert machine[-1][2] is not None
    assert plan.speeds["champion"] == 2_000
    planned(30, champion=easy.as_champion(weights=planned.root / "nothing", key="gone"))
    assert machine[-1][2] is None


def test_a_plan_is_kept_as_a_folder(planned):
    plan = planned(30)
    (folder,) = (planned.root / PlannedEvaluation.kind).glob("[!.]*")
    handle = PlannedEvaluation.open(folder)
    assert handle.plan() == plan
    assert handle.summary["budget_seconds"] == 30


def test_what_the_model_has_few_of_it_takes_few_of(easy, machine, planned):
    few = planned(20)
    assert 2 <= few.limit("validation_documents") <= 24
    assert few.seconds <= 20 or few.lacking("competence")
    report = easy.evaluate(gates=gates(20))
    assert report.plan().amounts == few.amounts
    assert len(report.scores("validation")) == few.limit("validation_documents")
    assert len(report.scores("kn5")) == few.limit("validation_documents")
    assert len(report.scores("train")) <= few.limit("train_documents")
    assert len(report.samples()) == few.limit("samples")
    assert report.summary["documents"] == few.limit("validation_documents")
    calls = len(machine)
    assert easy.evaluate(gates=gates(20)).key == report.key
    assert len(machine) == calls


def test_with_enough_time_everything_is_what_it_is_without_a_budget(easy, machine):
    whole, free = easy.evaluate(gates=gates(100_000)), easy.evaluate()
    assert free.plan() == AS_CONFIGURED
    assert whole.samples() == free.samples()
    for name, metric in free.metrics().items():
        # Learnt text is read up to its last consumed token, which changes the order of sums.
        for key, value in metric.items():
            other = whole.metrics()[name][key]
            close = pytest.approx(value, rel=1e-5) if isinstance(value, float) else value
            assert other == close

    def told(report):
        return {
            g.gate: (g.outcome, *(x or 0.0 for x in (g.value, g.lower, g.upper)))
            for g in report.verdict().results
        }

    found = told(whole)
    for gate, (outcome, *numbers) in told(free).items():
        assert found[gate][0] == outcome
        assert found[gate][1:] == pytest.approx(tuple(numbers), rel=1e-4, abs=1e-6)
