"""Learning-rate sweeps: what is compared, what is recommended, what is never done twice."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lmcore.content_store import ContentStore
from lmcore.errors import SourceError, TrainingError
from lmcore.training.attempt import Attempt
from lmcore.training.config import TrainingConfig
from lmcore.training.events import TrainingEvent, TrainingInterrupted
from lmcore.training.plan import Plan
from lmcore.training.trials import short_runs as module
from lmcore.training.trials.short_runs import SweepRun
from lmcore.training.trials.sweep import Sweep, shortened, sweep

MODEL: dict[str, Any] = {
    "d_model": 16,
    "embedding_dim": 8,
    "num_heads": 2,
    "head_dim": 4,
    "window": 8,
    "mlp_multiple": 1,
}


def run_sweep(bench: Any, **changes: Any) -> Sweep:
    from lmcore.model.config import ModelConfig

    settings = {"max_steps": 24, "batch_size": 4, "sequence_length": 16, "precision": "float32"}
    attended = {name: changes.pop(name) for name in ("on_event", "should_stop") if name in changes}
    options = {name: changes.pop(name) for name in ("rates", "on_run") if name in changes}
    return sweep(
        Attempt(store=ContentStore(bench.root / "store"), work_dir=bench.root / "work", **attended),
        changes.pop("corpus", bench.corpus),
        model=ModelConfig.model_validate(MODEL),
        training=TrainingConfig.model_validate({**settings, **changes}),
        **options,
    )


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ({"budget_seconds": 120.0}, {"budget_seconds": 12.0}),
        ({"budget_seconds": 30.0}, {"budget_seconds": 5.0}),
        ({"budget_seconds": 3.0}, {"budget_seconds": 3.0}),
        ({"max_steps": 1000}, {"max_steps": 100}),
        ({"max_steps": 50}, {"max_steps": 20}),
        ({"max_steps": 7}, {"max_steps": 7}),
        # Four lanes of 1,000 tokens, 16 at a time: 62 steps an epoch.
        ({"max_epochs": 10.0}, {"max_steps": 62}),
    ],
)
def test_a_run_gets_a_tenth_of_the_budget(
    budget: dict[str, float], expected: dict[str, float]
) -> None:
    full = TrainingConfig.model_validate({**budget, "batch_size": 4, "sequence_length": 16})
    short = shortened(full, stream_tokens=4000)
    found = {
        name: getattr(short, name)
        for name in ("budget_seconds", "max_steps", "max_epochs")
        if getattr(short, name) is not None
    }
    assert found == expected
    assert short.evaluations == 1
    assert short.learning_rate == full.learning_rate


def test_all_rates_get_the_same_steps_schedule_and_text(bench: Any) -> None:
    told: list[SweepRun] = []
    result = run_sweep(bench, learning_rate=0.01, max_steps=200, on_run=told.append)
    rates = [run.learning_rate for run in result.runs]
    assert rates[0] <= 0.005
    assert rates[-1] >= 0.02
    assert all(later == 2 * rate for rate, later in itertools.pairwise(rates))
    assert told[0].learning_rate == 0.01
    # The decay follows the rate, so that every run shrinks its weights as far.
    changed = {"learning_rate": 0.0, "weight_decay": 0.0}
    plans = [run.plan.model_copy(update=changed) for run in result.runs]
    assert all(plan == plans[0] for plan in plans)
    assert (plans[0].steps, plans[0].warmup_steps, plans[0].evaluations) == (20, 2, 1)
    assert [run.plan.learning_rate for run in result.runs] == rates
    values = [run.bits_per_byte().value for run in result.runs]
    assert result.best is result.runs[int(np.argmin(values))]
    assert len({round(value, 6) for value in values}) == len(values)
    # The difference of the sums is the sum of the differences.
    assert result.runs[0].minus(result.runs[1]).value == pytest.approx(values[0] - values[1])


def test_finished_runs_are_used_again(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_sweep(bench, rates=2)
    trained: list[float] = []
    real = module.train

    def counted(*arguments: Any, **named: Any) -> Any:
        trained.append(named["training"].learning_rate)
        return real(*arguments, **named)

    monkeypatch.setattr(module, "train", counted)
    again = run_sweep(bench, rates=2)
    assert trained == []
    assert [run.key for run in again.runs] == [run.key for run in first.runs]
    assert not [*(bench.root / "work").glob("sweep-*")]
    assert not (bench.root / "store" / "checkpoint").exists()


def test_a_stopped_sweep_goes_on_where_it_was(bench: Any) -> None:
    whole = run_sweep(bench, rates=2)
    planned: list[TrainingEvent] = []
    asked = iter(range(1000))

    def should_stop() -> bool:
        """After some steps of the second run."""
        return sum(event.kind == "plan" for event in planned) == 2 and next(asked) >= 5

    other = type(bench)(root=bench.root / "other", corpus=bench.corpus)
    with pytest.raises(TrainingInterrupted):
        run_sweep(other, rates=2, should_stop=should_stop, on_event=planned.append)
    resumed: list[str] = []
    result = run_sweep(
        other,
        rates=2,
        on_event=lambda event: resumed.append(event.message) if event.kind == "resume" else None,
    )
    assert len(resumed) == 1
    assert [run.lane_bits.tolist() for run in result.runs] == [
        run.lane_bits.tolist() for run in whole.runs
    ]


def test_a_rate_that_diverges_is_an_answer(bench: Any) -> None:
    result = run_sweep(bench, learning_rate=10.0, weight_decay=10.0, max_steps=40)
    worst = result.runs[-1]
    assert worst.diverged
    assert "diverged" in worst.summary["reason"]
    assert max(run.learning_rate for run in result.runs) == 10.0  # more is no valid rate
    assert result.recommended != 10.0


def fake_runs(
    bench: Any, monkeypatch: pytest.MonkeyPatch, cost: Callable[[float], float | None]
) -> None:
    """Replace training by a formula for each lane's cost; None diverges."""
    plan = bench.train("for its plan").plan()

    class Trained:
        def __init__(self, plan: Plan) -> None:
            self._plan = plan
            self.summary = {
                "train_seconds": 1.0,
                "recoveries": 0,
                "final_tune_bits_per_byte": 1.0,
            }

        def plan(self) -> Plan:
            return self._plan

        def load(self, *_: object) -> Plan:
            return self._plan

    def train(attempt: Attempt, _: Any, *, training: TrainingConfig, **__: Any) -> Trained:
        own = plan.model_copy(update={"learning_rate": training.learning_rate})
        folder = attempt.work_dir / "key"
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text(own.model_dump_json())
        if cost(training.learning_rate) is None:
            raise TrainingError("the loss diverged again")
        return Trained(own)

    def lane_costs(own: Plan, *_: Any, **__: Any) -> tuple[Any, Any]:
        value = cost(own.learning_rate)
        assert value is not None
        # Four lanes that differ much from each other, and each rate equally in all of them.
        return np.array([100.0, 200.0, 300.0, 150.0]) + 100 * value, np.full(4, 100.0)

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "lane_costs", lane_costs)


@pytest.mark.parametrize(
    ("best_rate", "tried", "recommended", "at_edge"),
    [
        (0.01, [0.005, 0.01, 0.02], 0.01, False),
        (0.04, [0.005, 0.01, 0.02, 0.04, 0.08], 0.04, False),
        (0.0025, [0.00125, 0.0025, 0.005, 0.01, 0.02], 0.0025, False),
        (1e3, [0.005 * 2**i for i in range(7)], 0.32, True),
    ],
)
def test_the_search_follows_the_better_edge_up_to_a_bound(
    bench: Any,
    monkeypatch: pytest.MonkeyPatch,
    best_rate: float,
    tried: list[float],
    recommended: float,
    at_edge: bool,
) -> None:
    fake_runs(bench, monkeypatch, lambda rate: abs(np.log2(rate / best_rate)) / 10)
    result = run_sweep(bench, learning_rate=0.01)
    assert [run.learning_rate for run in result.runs] == tried
    assert (result.recommended, result.at_edge) == (recommended, at_edge)
    assert ("beyond" in result.sentence) == at_edge
    assert f"{recommended:g}" in result.sentence


def test_where_all_diverge_lower_rates_are_tried_and_nothing_is_recommended(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_runs(bench, monkeypatch, lambda rate: None)
    result = run_sweep(bench, learning_rate=0.01)
    assert [run.learning_rate for run in result.runs] == [0.02 / 2**i for i in range(7)][::-1]
    assert (result.best, result.recommended, result.at_edge) == (None, None, False)
    assert "diverged" in result.sentence


def test_where_the_configured_rate_diverges_the_best_other_is_recommended(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_runs(bench, monkeypatch, lambda rate: None if rate > 0.006 else rate)
    result = run_sweep(bench, learning_rate=0.01, rates=2)
    assert result.gain is None
    assert result.recommended == result.best.learning_rate < 0.01  # type: ignore[union-attr]
    assert "the configured rate 0.01 diverged" in result.sentence


def test_a_difference_within_the_noise_keeps_the_configured_rate(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_runs(bench, monkeypatch, lambda rate: 1.0)
    noise = iter(np.random.default_rng(0).normal(0, 5, (9, 4)))
    monkeypatch.setattr(
        module, "lane_costs", lambda *_, **__: (100 + next(noise), np.full(4, 100.0))
    )
    result = run_sweep(bench, learning_rate=0.01)
    assert result.best is not None
    assert result.best.learning_rate != 0.01
    assert result.recommended == 0.01
    assert "do not make certain" in result.sentence


def test_no_tune_text_is_a_plain_error(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(tune=[])
    with pytest.raises(SourceError, match="tune_fraction"):
        run_sweep(bench)
