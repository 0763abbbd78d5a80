"""Configuration: what is right becomes one frozen value, what is wrong one sentence."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lmcore.config import RunConfig, parse_config
from lmcore.config_file import default_config_path, load_config
from lmcore.errors import ConfigError
from lmcore.training.config import TrainingConfig

MINIMAL: dict[str, Any] = {"name": "m", "sources": [{"path": "a.txt", "license": "CC0-1.0"}]}


def write(folder: Path, text: str | dict[str, Any]) -> Path:
    path = folder / "config.yaml"
    path.write_text(text if isinstance(text, str) else yaml.safe_dump(text))
    return path


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"trainning": {}}, "unknown key 'trainning'; did you mean 'training'"),
        ({"training": {"budget_second": 3}}, "did you mean 'budget_seconds'"),
        (
            {"sources": [{"path": "a", "licence": "x"}]},
            "sources.0.licence'; did you mean 'license'",
        ),
        ({"gates": {"champion": {"margin": 1}}}, "unknown key 'gates.champion.margin'"),
        ({"training": {"budget_seconds": -5}}, "training.budget_seconds=-5: expected"),
        ({"training": {"budget_seconds": 5, "max_steps": 3}}, "only one of"),
        ({"data": {"validation_fraction": 1.5}}, "data.validation_fraction=1.5"),
        ({"data": {"unit": "page"}}, "data.unit='page'"),
        ({"sources": []}, "sources"),
        (
            {"sources": [{"license": "MIT"}]},
            "exactly one of path, package, dataset, requests; found none",
        ),
        ({"sources": [{"path": "a", "package": "b"}]}, "found path and package"),
        ({"name": "../x"}, "name='../x'"),
        ({"name": None}, "name=None"),
        ({"model": {"pattern": "LX"}}, "unknown letters ['X']"),
        ({"tokenizer": {"kind": "bpe", "vocab_size": 100}}, "cannot hold the 256 bytes"),
        ({"schedule": {"cron": "every day"}}, "five cron fields"),
        ({"schedule": {"cron": "0 0 3 * * 1"}}, "five cron fields"),
        ({"schedule": {"cron": "r(1-5) 3 * * 1"}}, "five cron fields"),
        ({"schedule": {"cron": "0 3 * * 1", "timezone": "Mars"}}, "IANA time zone"),
        ({"task": "poetry"}, "task='poetry'"),
        ({"gates": {"bias_lm": {"min_words": 100_000}}}, "can never be met: the list has"),
    ],
)
def test_each_mistake_is_one_sentence_with_key_and_value(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    path = write(tmp_path, {**MINIMAL, **changes})
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_the_fingerprint_follows_meaning_not_place() -> None:
    base = parse_config(MINIMAL, where="test")
    moved = parse_config(
        {**MINIMAL, "sources": [{"path": "/elsewhere/a.txt", "license": "CC0-1.0"}]}, where="test"
    )
    assert moved.fingerprint() == base.fingerprint()
    later = {**MINIMAL, "schedule": {"cron": "0 3 * * 1"}, "promote": False}
    assert parse_config(later, where="test").fingerprint() == base.fingerprint()
    for change in (
        {"model": {"d_model": 128}},
        {"gates": {"overfitting": {"max_relative_gap": 0.2}}},
    ):
        assert parse_config({**MINIMAL, **change}, where="t").fingerprint() != base.fingerprint()


def test_a_config_survives_its_own_yaml(tmp_path: Path) -> None:
    config = load_config(default_config_path())
    again = load_config(write(tmp_path, config.to_yaml()))
    assert again == config


TASK = {
    "name": "tone",
    "task": "sentiment",
    "base": "talk",
    "sources": [{"path": "x.csv", "target_field": "label"}],
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sources": [{"path": "x.csv"}]}, "sources.0.target_field is missing"),
        ({"sources": [{"path": "x.csv", "target_field": "text"}]}, "is the text itself"),
        ({"base": "tone"}, "the model itself"),
        ({"base": "no/name"}, "expected the name of a registered model"),
        ({"model": {"pretrained": "tiny"}}, "a task starts from one model; set base to null"),
        ({"data": {"unit": "paragraph"}}, "an example of a task is a record"),
        ({"training": {"launcher": "torchrun"}}, "trained in one process"),
        ({"task": "language_modelling"}, "base is for tasks"),
        ({"fine_tuning": {"beam_sise": 3}}, "did you mean 'beam_size'"),
    ],
)
def test_a_task_that_cannot_be_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_config({**TASK, **change}, where="test")


def pretrained(training: dict[str, Any] | None = None, **model: Any) -> RunConfig:
    values = {**MINIMAL, "model": {"pretrained": "somewhere", **model}}
    return parse_config({**values, "training": training or {}}, where="test")


def test_a_model_that_exists_is_trained_gently_unless_told_otherwise() -> None:
    plain = parse_config(MINIMAL, where="test").training
    assert plain == TrainingConfig()
    lora, full = pretrained().training, pretrained(adapt="full").training
    assert (lora.batch_size, lora.sequence_length, lora.weight_decay) == (1, 512, 0.0)
    assert full.batch_size == 2
    assert 5e-4 <= lora.learning_rate <= 2e-3
    assert 2e-5 <= full.learning_rate <= 5e-5
    told = {"learning_rate": 0.01, "batch_size": 6, "weight_decay": None, "max_steps": 9}
    own = pretrained(told).training
    assert (own.learning_rate, own.batch_size, own.max_steps) == (0.01, 6, 9)
    # The rule for random weights would draw finished ones to zero.
    assert own.weight_decay == 0.0
    shared = pretrained({"launcher": "torchrun", "processes": 3}).training
    assert shared.batch_size == 3
    # Written out, they are what a run records and a reproduction reads.
    again = RunConfig.model_validate(yaml.safe_load(pretrained().to_yaml()))
    assert again == pretrained()


def test_a_task_from_a_model_that_exists_has_lanes_of_examples() -> None:
    values = {**TASK, "base": None, "model": {"pretrained": "somewhere"}}
    task = parse_config(values, where="test").training
    assert (task.batch_size, task.learning_rate) == (16, 3e-4)
    whole = {**values, "model": {"pretrained": "somewhere", "adapt": "full"}}
    all_weights = parse_config(whole, where="test").training
    assert all_weights.learning_rate == pretrained(adapt="full").training.learning_rate
    told = parse_config({**values, "training": {"batch_size": 5}}, where="test").training
    assert told.batch_size == 5
    # One from random weights, and one from a registered model, is trained as ever.
    assert parse_config(TASK, where="test").training == TrainingConfig()


def test_steps_read_no_more_than_the_context() -> None:
    assert pretrained(context=256).training.sequence_length == 256
    with pytest.raises(
        ConfigError, match=r"training\.sequence_length=600, but model\.context=512 is all"
    ):
        pretrained({"sequence_length": 600}, context=512)


@pytest.mark.parametrize("model", [7, "x", ["pretrained"], {"pretrained": 7}, None])
def test_a_wrong_model_stays_one_sentence(model: Any) -> None:
    with pytest.raises(ConfigError, match="model"):
        parse_config({**MINIMAL, "model": model, "training": 3}, where="test")
