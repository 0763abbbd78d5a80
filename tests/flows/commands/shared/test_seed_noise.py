import math
from typing import Any

import pytest

from flows.commands.shared.seed_noise import seed_noise
from lmcore.errors import UserError


def test_one_training_has_no_spread(made: Any) -> None:
    with pytest.raises(UserError, match="--seeds 1: a spread needs at least 2 trainings"):
        seed_noise(made.run.config, seeds=1)


def test_the_spread_of_two_trainings_and_the_margin_that_follows(
    trained_shell: Any, small_config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small_config(training={"batch_size": 1, "sequence_length": 8})
    answer = seed_noise(config, seeds=2)
    noise = answer.values["seed_noise"]
    first, second = noise["bits_per_byte"]
    # The standard deviation of two values is their distance by the root of two.
    assert noise["sigma"]["value"] == pytest.approx(abs(first - second) / math.sqrt(2))
    assert first != second
    assert (noise["sigma"]["n"], noise["pairs"], answer.exit_code) == (2, 2, 0)
    floor = config.gates.champion.min_gain_bits_per_byte
    margin = max(floor, 2 * noise["sigma"]["value"])
    assert answer.values["margin_bits_per_byte"] == pytest.approx(margin)
    assert answer.values["model"] == "lines"
    sigma = noise["sigma"]["value"]
    assert answer.values["set"] == f"gates.champion.seed_sigma_bits_per_byte={sigma:.4f}"
    answer.text(answer.values)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 trainings of lines that differ by the seed alone (300 steps, ")
    assert lines[-1] == f"  lmcore run --set {answer.values['set']}"
