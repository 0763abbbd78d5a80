"""Every key explains itself, and says of itself what a run does."""

import re

import pytest
import yaml

from lmcore.config import RunConfig, parse_config
from lmcore.config_reference import Key, below, find, keys
from lmcore.errors import ConfigError

LEAVES = [key for key in keys() if not key.is_section]


def test_every_key_is_there_once_and_below_its_section() -> None:
    names = [key.name for key in keys()]
    assert len(names) == len(set(names))
    assert {"preset", *RunConfig.model_fields} == {key.name for key in keys() if not key.section}
    for key in keys():
        if key.section:
            assert key in below(find(key.section))
            assert re.fullmatch(rf"{key.section}(\.0)?\.[a-z_]+", key.name), key
            assert names.index(key.section) < names.index(key.name)
        assert key.is_section == bool(below(key)), key


def test_every_key_says_what_it_is_for() -> None:
    wordless = [key.name for key in keys() if not re.fullmatch(r"\S.{20,}[.`)]", key.description)]
    assert wordless == []


def test_types_and_bounds_are_in_words() -> None:
    found = {key.name: (key.kind, key.bounds, key.default) for key in keys()}
    assert found["training.budget_seconds"] == ("number, or null", "above 0", "null")
    assert found["training.seed"] == ("whole number", "at least 0, below 4,294,967,296", "0")
    assert found["data.pii"] == ("one of mask, keep", "", "mask")
    assert found["data.as_of"] == ("date (YYYY-MM-DD), or null", "", "null")
    assert found["name"][2] is None
    assert found["sources"][:2] == ("list of sections", "entries: at least 1")
    assert found["sources.0.columns"][0] == "list of text, or null"
    assert found["policy.deny"] == ("list of text", "", "[]")
    assert found["gates"][0] == "text, or section"
    assert found["gates.required"][0].startswith("list, each one of instrument, ")
    assert found["schedule"] == ("section, or null", "", "null")
    assert {key.form for key in keys() if key.section == "model"} == {"scratch", "pretrained"}


def test_the_default_of_a_key_is_the_value_of_who_does_not_give_it() -> None:
    given = {
        "scratch": {"name": "m", "sources": [{"path": "a"}]},
        "pretrained": {"name": "m", "sources": [{"path": "a"}], "model": {"pretrained": "a"}},
    }
    configs = {
        form: parse_config(
            {**values, "schedule": {"cron": "0 3 * * 1"}, "timeline": {"dates": ["2020-01-01"]}},
            where="",
        ).model_dump(mode="json")
        for form, values in given.items()
    }
    # Where none of the bounds of a training is given, one of them has a value.
    told = {"preset", "sources.0.path", "training.budget_seconds"}
    for key in LEAVES:
        if key.default is None or key.name in told:
            continue
        value = configs[key.form or "scratch"]
        for part in key.name.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
        assert yaml.safe_load(key.default) == value, key


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("training.budget_seconds", "training.budget_seconds"),
        (" training ", "training"),
        ("sources.path", "sources.0.path"),
        ("sources.12.path", "sources.0.path"),
        ("sources.0", "sources"),
        ("gates.evaluation.probes.weat", "gates.evaluation.probes.weat"),
    ],
)
def test_a_key_is_found_as_it_may_be_typed(asked: str, name: str) -> None:
    assert find(asked).name == name


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("trainnig", "did you mean training?"),
        ("training.buget_seconds", "did you mean training.budget_seconds?"),
        ("seed", "did you mean training.seed?"),
        ("qqqqqqqq", "`lmcore config --explain` lists the sections"),
        ("x" * 500, "..."),
    ],
)
def test_an_unknown_key_names_the_nearest_one(asked: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(hint)) as caught:
        find(asked)
    assert len(str(caught.value)) < 250


def test_the_keys_are_made_once() -> None:
    assert keys() is keys()
    assert all(isinstance(key, Key) for key in keys())
