"""Settings of a training: what bounds it, and what cannot be launched."""

from typing import Any

import pytest
from pydantic import ValidationError

from lmcore.training.config import HOW_IT_IS_RUN, TrainingConfig


def test_default_bound_is_two_minutes() -> None:
    assert TrainingConfig().budget_seconds == 120.0
    assert TrainingConfig(max_steps=3).budget_seconds is None
    with pytest.raises(ValidationError, match="only one of"):
        TrainingConfig(max_steps=3, max_epochs=1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"processes": 2}, "processes=2 needs training.launcher: torchrun"),
        ({"shard_weights": True}, "shard_weights=True needs training.launcher: torchrun or ext"),
        (
            {"launcher": "torchrun", "shard_weights": True},
            "shard_weights needs training.processes of 2 or more; found 1",
        ),
        ({"timeout_seconds": 9}, "timeout_seconds=9.0 needs training.launcher: torchrun"),
        ({"launcher": "torchrun", "processes": 3}, "batch_size=32 cannot be shared equally"),
        ({"launcher": "torchrun", "processes": 0}, "greater than or equal to 1"),
        ({"processes": 2, "hosts": 2}, "processes=2 needs training.launcher: torchrun or external"),
        ({"hosts": 2}, "hosts=2 needs training.launcher: torchrun; found local"),
        ({"launcher": "external", "hosts": 2}, "hosts=2 needs training.launcher: torchrun; found"),
        ({"launcher": "torchrun", "interface": "eth0"}, "interface=eth0 needs training.hosts of 2"),
        ({"launcher": "torchrun", "rendezvous": "a"}, "rendezvous=a needs training.hosts of 2"),
        (
            {"launcher": "torchrun", "hosts": 2},
            "processes=1 cannot be spread equally over hosts=2",
        ),
        (
            {"launcher": "torchrun", "hosts": 2, "processes": 2, "rendezvous": "fd00::1"},
            "'fd00::1' is no address; expected HOST:PORT, or",
        ),
        ({"launcher": "mpirun"}, "'local', 'torchrun' or 'external'"),
    ],
)
def test_what_cannot_be_launched_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingConfig.model_validate(values)


@pytest.mark.parametrize(
    "bounds",
    [
        {"budget_seconds": 1.0, "max_steps": 3},
        {"budget_seconds": 1.0, "max_epochs": 3.0},
        {"budget_seconds": 1.0, "max_steps": 3, "max_epochs": 3.0},
    ],
)
def test_of_several_bounds_all_are_named(bounds: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=f"found {', '.join(bounds)}"):
        TrainingConfig.model_validate(bounds)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("seed", 1 << 32),
        ("budget_seconds", float("inf")),
        ("max_steps", 0),
        ("batch_size", 0),
        ("sequence_length", 1),
        ("learning_rate", 0.0),
        ("weight_decay", -0.1),
        ("patience", 0),
        ("precision", "float16"),
        ("device", "tpu"),
        ("start", "yesterday"),
        ("momentum", 0.9),
    ],
)
def test_a_value_that_means_nothing_is_named(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        TrainingConfig.model_validate({name: value})


def test_an_absent_bound_may_be_said_aloud() -> None:
    said = {"budget_seconds": None, "max_steps": None, "max_epochs": 2.0}
    assert TrainingConfig.model_validate(said) == TrainingConfig(max_epochs=2.0)
    nothing = {"budget_seconds": None, "max_steps": None, "max_epochs": None}
    assert TrainingConfig.model_validate(nothing) == TrainingConfig()


def test_what_changes_no_bit_are_settings_that_there_are() -> None:
    assert set(TrainingConfig.model_fields) > HOW_IT_IS_RUN
    assert "processes" not in HOW_IT_IS_RUN  # the order of sums depends on them
