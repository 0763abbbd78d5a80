"""The schema takes what a run takes, and refuses what nobody would find in a long file."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from lmcore.config import RunConfig
from lmcore.config_file import load_config, presets
from lmcore.config_schema import config_schema
from lmcore.evaluation.config import GatesConfig, default_gates_path
from lmcore.evaluation.drift.config import MonitorConfig, default_monitor_path
from lmcore.settings import Section

SCHEMA = config_schema()
LEAST = {"name": "m", "sources": [{"path": "a"}]}
FILES = sorted(
    path
    for path in default_gates_path().parent.glob("*.yaml")
    if path.name not in ("gates.yaml", "monitor.yaml", "presets.yaml")
)


def errors(values: Any, schema: dict[str, Any] = SCHEMA) -> list[str]:
    # An editor reads YAML's dates as text.
    plain = json.loads(json.dumps(values, default=str))
    return [error.message for error in Draft202012Validator(schema).iter_errors(plain)]


def of_section(model: type[Section]) -> dict[str, Any]:
    return {"$defs": SCHEMA["$defs"], "$ref": f"#/$defs/{model.__name__}"}


def test_it_is_a_schema_of_one_file() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$schema"]
    references = {part.split('"')[0] for part in json.dumps(SCHEMA).split('"$ref": "')[1:]}
    assert references == {f"#/$defs/{name}" for name in SCHEMA["$defs"]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_that_come_with_lmcore_are_of_this_form(path: Path) -> None:
    assert errors(yaml.safe_load(path.read_text("utf-8"))) == []


def test_files_of_limits_and_presets_are_of_the_form_of_their_sections() -> None:
    for path, model in (
        (default_gates_path(), GatesConfig),
        (default_monitor_path(), MonitorConfig),
    ):
        assert errors(yaml.safe_load(path.read_text("utf-8")), of_section(model)) == []
    for name, sections in presets().items():
        if "pretrained" in name:
            sections["model"]["pretrained"] = "folder"
        assert errors({**LEAST, **sections}) == [], name


def test_a_resolved_configuration_is_of_this_form() -> None:
    for model in ("{}", "{pretrained: folder}"):
        config = load_config(overrides=[f"model={model}", "timeline={dates: [2020-01-31]}"])
        assert errors(yaml.safe_load(config.to_yaml())) == []


@pytest.mark.parametrize(
    "more",
    [
        {"preset": "cpu-hour", "gates": "my-gates.yaml", "schedule": None},
        {"gates": {"overfitting": {"max_relative_gap": 0.05}}, "monitor": {"min_documents": 20}},
        {"model": {"pretrained": "folder", "known_until": "2024-12-31"}},
        {"data": {"as_of": "2024-12-31", "languages": ["en"]}, "policy": {"deny": []}},
    ],
)
def test_what_a_run_takes_is_of_this_form(more: dict[str, Any]) -> None:
    assert errors({**LEAST, **more}) == []


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"trainnig": {}}, "trainnig"),
        ({"training": {"bugdet_seconds": 1}}, "bugdet_seconds"),
        ({"training": {"budget_seconds": 0}}, "0"),
        ({"preset": "cpu-minute"}, "cpu-minute"),
        ({"model": {"d_modle": 128}}, "d_modle"),
        ({"model": {"pretrained": "folder", "pattern": "LA"}}, "pattern"),
        ({"gates": {"overfitting": {"max_relative_gap": 2}}}, "2"),
        ({"gates": {"overfiting": {}}}, "overfiting"),
        ({"data": {"as_of": 3}}, "3"),
        ({"sources": []}, "[]"),
    ],
)
def test_what_a_run_refuses_is_refused(more: dict[str, Any], named: str) -> None:
    (message,) = errors({**LEAST, **more})
    assert named in message


def test_the_defaults_are_those_that_act() -> None:
    limits = SCHEMA["$defs"]["OverfittingLimits"]["properties"]
    assert (
        limits["max_relative_gap"]["default"] == GatesConfig.default().overfitting.max_relative_gap
    )
    assert SCHEMA["$defs"]["PolicyConfig"]["properties"]["deny"]["default"] == []
    assert "required" not in SCHEMA["$defs"]["MonitorConfig"]
    assert SCHEMA["required"] == ["name", "sources"]
    assert RunConfig.model_json_schema()["properties"].keys() < SCHEMA["properties"].keys()
