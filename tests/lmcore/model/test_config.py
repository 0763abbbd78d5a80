"""Shapes that no model can have are refused by name and value."""

import pytest
from pydantic import ValidationError

from lmcore.model.config import LETTERS, ModelConfig
from lmcore.model.recurrent.layers import MIXERS


def test_every_letter_has_a_mixer_and_no_other() -> None:
    assert set(LETTERS) == set(MIXERS)
    assert ModelConfig(pattern="".join(LETTERS)).pattern == "".join(LETTERS)


@pytest.mark.parametrize(("pattern", "unknown"), [("LXAQ", "['Q', 'X']"), ("la", "['a', 'l']")])
def test_unknown_letters_are_named_with_those_that_are_known(pattern: str, unknown: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ModelConfig(pattern=pattern)
    assert f"pattern '{pattern}' has the unknown letters {unknown}; expected" in str(caught.value)
    assert "L (LSTM), R (gated linear recurrence)" in str(caught.value)


def test_a_model_has_at_least_one_block() -> None:
    with pytest.raises(ValidationError, match="pattern ''"):
        ModelConfig(pattern="")


@pytest.mark.parametrize("cutoffs", [(5, 5), (5, 4), (0,), (-1, 3), (1, 2, 2)])
def test_classes_of_the_softmax_ascend_from_above_zero(cutoffs: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="must be above 0 and ascend"):
        ModelConfig(cutoffs=cutoffs)


@pytest.mark.parametrize("cutoffs", [None, (), (1,), (1, 2, 500)])
def test_a_shape_survives_its_own_json(cutoffs: tuple[int, ...] | None) -> None:
    config = ModelConfig(pattern="RA", cutoffs=cutoffs, dropout=0.1)
    assert ModelConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("head_dim", 5), ("window", 0), ("d_model", 4), ("dropout", 1.0), ("num_heads", 0)),
        *(("schema_version", 2), ("pattern", "L" * 65), ("cutoffs", tuple(range(1, 18)))),
    ],
)
def test_values_out_of_range_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        ModelConfig(**{key: value})
