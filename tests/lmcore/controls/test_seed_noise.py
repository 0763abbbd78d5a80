import math

import numpy as np
import pytest

from lmcore.controls.bench import MODEL, TRAINING, ControlBench
from lmcore.controls.seed_noise import bounded, measure_seed_noise, spread
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import GatesConfig
from lmcore.training.attempt import Attempt
from lmcore.training.config import TrainingConfig


def test_spread_by_hand():
    found = spread([1.0, 2.0, 3.0])
    assert found.value == 1.0
    # Chi-squared with two degrees of freedom is exponential: quantiles are -2 ln(1 - p).
    assert found.lower == pytest.approx(math.sqrt(2 / (-2 * math.log(0.05))))
    assert found.upper == pytest.approx(math.sqrt(2 / (-2 * math.log(0.95))))
    assert found.n == 3


def test_bounds_of_the_spread_hold_as_often_as_they_say():
    rng = np.random.default_rng(0)
    found = [spread(rng.normal(0, 2.0, 8)) for _ in range(1000)]
    below = np.mean([f.lower <= 2.0 for f in found])
    above = np.mean([f.upper >= 2.0 for f in found])
    assert abs(below - 0.95) < 0.03
    assert abs(above - 0.95) < 0.03


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan]])
def test_too_few_or_broken_trainings_have_no_spread(values):
    with pytest.raises(EmptyEvaluationError):
        spread(values)


def test_seeds_differ_and_are_kept(tmp_path):
    bench = ControlBench(seed=0, folder=tmp_path)
    world, seen = bench.sound, []

    def measure(seeds):
        return measure_seed_noise(
            Attempt(store=bench.store, work_dir=tmp_path / "work"),
            world,
            model=MODEL,
            training=bounded(TrainingConfig(**TRAINING, max_steps=999), steps=5),
            gates=GatesConfig.default(),
            seeds=seeds,
            on_run=lambda seed, run: seen.append((seed, run.key)),
        )

    two = measure(2)
    three = measure(3)
    assert three.bits_per_byte[:2] == two.bits_per_byte
    assert len(set(three.bits_per_byte)) == 3
    assert seen[:2] == seen[2:4]
    assert three.sigma.value == pytest.approx(np.std(three.bits_per_byte, ddof=1))
    assert (three.pairs, three.steps) == (6, 5)
    assert 0 <= three.promoted <= 3
