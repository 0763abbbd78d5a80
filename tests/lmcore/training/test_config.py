"""Settings of a training: what bounds it, and what cannot be launched."""

from typing import Any

import pytest
from pydantic import ValidationError

from lmcore.training.config import TrainingConfig


def test_default_bound_is_two_minutes() -> None:
    assert TrainingConfig().budget_seconds == 120.0
    assert TrainingConfig(max_steps=3).budget_seconds is None
    with pytest.raises(ValidationError, match="only one of"):
        TrainingConfig(max_steps=3, max_epochs=1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"processes": 2}, "processes=2 needs training.launcher: torchrun"),
        ({"timeout_seconds": 9}, "timeout_seconds=9.0 needs training.launcher: torchrun"),
        ({"launcher": "torchrun", "processes": 3}, "batch_size=32 lanes cannot be shared"),
        ({"launcher": "torchrun", "processes": 0}, "greater than or equal to 1"),
        ({"launcher": "mpirun"}, "'local' or 'torchrun'"),
    ],
)
def test_what_cannot_be_launched_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingConfig.model_validate(values)
