"""What a task's training may be told, and what a task does where nothing is said."""

import pytest
from pydantic import ValidationError

from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.task import SUMMARIZATION, TASKS


def test_a_configuration_overrules_what_a_task_does_by_itself() -> None:
    assert [FineTuningConfig().copies(task) for task in TASKS.values()] == [False] * 3 + [True]
    assert [FineTuningConfig().no_repeat(task) for task in TASKS.values()] == [0, 0, 0, 3]
    own = FineTuningConfig(copying=False, no_repeat_ngram_size=0)
    assert not own.copies(SUMMARIZATION)
    assert own.no_repeat(SUMMARIZATION) == 0


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("max_source_tokens", 7, 8),
        ("max_target_tokens", 3, 4),
        ("adaptation_share", 0.91, 0.9),
        ("unfreezing_share", 1.01, 1.0),
        ("layer_decay", 0.99, 1.0),
        ("source_loss", 1.5, 1.0),
        ("beam_size", 0, 1),
        ("length_penalty", 10.0, 9.9),
        ("no_repeat_ngram_size", -1, None),
    ],
)
def test_a_value_beyond_its_bound_is_named(name: str, wrong: float, right: float | None) -> None:
    with pytest.raises(ValidationError, match=name):
        FineTuningConfig.model_validate({name: wrong})
    assert getattr(FineTuningConfig.model_validate({name: right}), name) == right


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="beams"):
        FineTuningConfig.model_validate({"beams": 4})
