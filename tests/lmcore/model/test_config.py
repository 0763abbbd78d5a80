"""Shapes that no model can have are refused by name and value."""

import re

import pytest
from pydantic import ValidationError

from lmcore.config import RunConfig, parse_config
from lmcore.errors import ConfigError
from lmcore.model.config import LETTERS, ModelConfig, PretrainedConfig
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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pretrained": "x", "adpat": "lora"}, "unknown key 'model.adpat'; did you mean 'adapt'?"),
        ({"pretrained": "x", "pattern": "LA"}, "pattern is for a model from random weights"),
        ({"adapt": "lora"}, "adapt is for a model that exists; name one as pretrained"),
        ({"pretraned": "x"}, "unknown key 'model.pretraned'; did you mean 'pretrained'?"),
        ({"patern": "LA"}, "unknown key 'model.patern'; did you mean 'pattern'?"),
        ({"pretrained": "x", "context": 3}, "model.context=3: expected greater than or equal"),
        ({"pretrained": None}, "model.pretrained=None: expected a valid string"),
        ({"pretrained": "x", "known_until": "soon"}, "model.known_until='soon'"),
    ],
)
def test_what_is_wrong_with_the_section_is_said_without_its_kind(
    values: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_config({"name": "m", "sources": [{"path": "t"}], "model": values}, where="c")


def test_a_model_that_exists_is_one_kind_of_the_section() -> None:
    values = {"name": "m", "sources": [{"path": "t"}]}
    scratch = parse_config(values, where="c")
    begun = parse_config({**values, "model": {"pretrained": "x"}}, where="c")
    assert isinstance(scratch.model, ModelConfig)
    assert isinstance(begun.model, PretrainedConfig)
    assert (scratch.model.carries_state, begun.model.carries_state) == (True, False)
    for config in (scratch, begun):
        assert RunConfig.model_validate(config.model_dump(mode="json")) == config
    assert len(RunConfig.model_json_schema()["properties"]["model"]["oneOf"]) == 2
