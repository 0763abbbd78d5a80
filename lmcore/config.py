"""The configuration of one pipeline: YAML in, a frozen and fully resolved `RunConfig` out.

YAML holds values, the sections' classes hold meaning (each lives beside the code
that it configures).  Whatever is wrong becomes one sentence that names the file,
the key, the value and what is expected; an unknown key names the nearest right one.
"""

from __future__ import annotations

import difflib
import importlib.resources
import itertools
import re
import types
from collections.abc import Hashable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from lmcore.artifacts import digest
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig, TokenizerConfig
from lmcore.data.text.person_names import names_digest
from lmcore.errors import ConfigError
from lmcore.evaluation.bias.words import WORDS
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.drift.config import MonitorConfig
from lmcore.model.config import ModelConfig
from lmcore.settings import MODEL_NAME, Section
from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.task import LANGUAGE_MODELLING, TASKS, TaskName
from lmcore.training.config import HOW_IT_IS_RUN, TrainingConfig

MAX_CONFIG_BYTES = 1 << 20
TRAINING_BOUNDS = ("budget_seconds", "max_steps", "max_epochs")
# Sections and keys that shape neither a model nor its verdict.
_NOT_OF_THE_MODEL = ("schedule", "promote", "monitor", "timeline")


class ScheduleConfig(Section):
    """When the pipeline runs by itself."""

    cron: str = Field(description="Five fields: minute hour day-of-month month day-of-week.")
    timezone: str = "UTC"
    watch_minutes: int | None = Field(
        10,
        ge=1,
        le=10_080,
        description="How often `lmcore up` looks whether the sources have changed; new text starts"
        " a run at once. null: it is read when the schedule says so.",
    )

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, cron: str) -> str:
        from cronsim import CronSim, CronSimError

        try:
            if len(cron.split()) != 5:
                raise CronSimError
            CronSim(cron, datetime(2000, 1, 1))
        except CronSimError as error:
            raise ValueError("expected five cron fields, for example '0 3 * * 1'") from error
        return cron

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        import zoneinfo

        try:
            zoneinfo.ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("expected an IANA time zone, for example 'Europe/Paris'") from error
        return name


class TimelineConfig(Section):
    """The days that `lmcore timeline` walks through; no other command reads them."""

    dates: list[date] = Field(min_length=1, description="Each is `data.as_of` in its turn.")

    @field_validator("dates")
    @classmethod
    def _ascending(cls, dates: list[date]) -> list[date]:
        if any(later <= earlier for earlier, later in itertools.pairwise(dates)):
            raise ValueError("expected days in ascending order, each once")
        return dates


class RunConfig(Section):
    """Everything that one run of the pipeline is told."""

    name: str = Field(pattern=f"^{MODEL_NAME}$", description="Registered model name.")
    task: TaskName = LANGUAGE_MODELLING.name
    base: str | None = Field(None, description="Registered model to start from; tasks only.")
    sources: list[SourceConfig] = Field(min_length=1)
    data: DataConfig = Field(default_factory=DataConfig)
    policy: PolicyConfig = Field(default_factory=PolicyConfig)
    tokenizer: TokenizerConfig = Field(default_factory=TokenizerConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    fine_tuning: FineTuningConfig = Field(default_factory=FineTuningConfig)
    gates: GatesConfig = Field(default_factory=GatesConfig.default)
    promote: bool = Field(True, description="false: register only.")
    schedule: ScheduleConfig | None = None
    monitor: MonitorConfig = Field(default_factory=MonitorConfig.default)
    timeline: TimelineConfig | None = None

    @model_validator(mode="after")
    def _task_fits(self) -> RunConfig:
        task = TASKS[self.task]
        if "bias_task" in self.gates.required and "bias_task" not in task.gates:
            raise ValueError("gates.required: bias_task is a gate of sentiment; take it out")
        if task.is_language_model:
            if self.base is not None:
                raise ValueError("base is for tasks that start from a language model; leave it out")
            if self.gates.data_sufficiency.enabled and self.training.start != "scratch":
                raise ValueError(
                    "gates.data_sufficiency compares trainings from scratch; set training.start to"
                    " scratch, or gates.data_sufficiency.enabled to false"
                )
            return self
        if self.training.start != "scratch":
            raise ValueError(
                "training.start: champion is for language models; a task starts from its base, so"
                " leave it out"
            )
        if self.base is not None and not re.fullmatch(MODEL_NAME, self.base):
            raise ValueError(f"base={_short(self.base)}: expected the name of a registered model")
        if self.base == self.name:
            raise ValueError(f"base={self.base!r} is the model itself; give the task another name")
        for index, source in enumerate(self.sources):
            if source.target_field is None and source.format != "parallel":
                raise ValueError(
                    f"sources.{index}.target_field is missing; task {self.task} needs the column"
                    f" of the {task.target}"
                )
            if source.target_field == source.text_field and source.format != "parallel":
                raise ValueError(
                    f"sources.{index}.target_field={source.target_field!r} is the text itself; name"
                    f" the column of the {task.target}"
                )
        if self.data.unit not in ("auto", "record"):
            raise ValueError(
                f"data.unit={self.data.unit!r}: an example of a task is a record; expected auto"
            )
        if self.training.launcher != "local":
            raise ValueError("training.launcher: tasks are trained in one process; expected local")
        return self

    @model_validator(mode="after")
    def _gates_can_be_met(self) -> RunConfig:
        wanted = self.gates.bias_lm.min_words
        if wanted > len(WORDS):
            raise ValueError(
                f"gates.bias_lm.min_words={wanted} can never be met: the list has {len(WORDS)}"
                " words"
            )
        return self

    def fingerprint(self) -> str:
        """Digest of all that shapes a model and its verdict.

        Not part of it: where a source lies (its bytes are fingerprinted instead), the
        schedule, whether the result may be promoted, how it is monitored, and in which processes
        it is trained as long as their number is the same.

        Raises:
            ConfigError: If `data.names` is no folder with a model.
        """
        sections = self.model_dump(mode="json", exclude=set(_NOT_OF_THE_MODEL))
        for source in sections["sources"]:
            del source["path"], source["target_path"]
        for name in HOW_IT_IS_RUN:
            del sections["training"][name]
        if self.data.names is not None:
            sections["data"]["names"] = names_digest(self.data.names)
        return digest(sections)

    def to_yaml(self) -> str:
        """The resolved configuration as YAML that `load_config` reads again."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML without aliases (a small file could expand without bound) or repeated keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise ConfigError(f"line {event.start_mark.line + 1}: YAML aliases are not supported")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise ConfigError(f"line {key_node.start_mark.line + 1}: key {key!r} is not text")
            if key in seen:
                raise ConfigError(f"line {key_node.start_mark.line + 1}: key {key!r} is repeated")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping.

    Raises:
        ConfigError: If it is missing, too large, not UTF-8, not YAML or not a mapping.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); give the path of a YAML file"
        ) from error
    if len(raw) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_CONFIG_BYTES} bytes; is it a config at all?")
    try:
        value = yaml.load(raw.decode("utf-8"), Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text at byte {error.start}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        raise ConfigError(f"{path}: not valid YAML{where} ({problem})") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: expected a mapping with keys such as name and sources")
    return value


def default_config_path() -> Path:
    """The configuration that runs when the user names none."""
    return Path(str(importlib.resources.files("configs") / "demo.yaml"))


def load_config(
    path: Path | None = None, *, overrides: Sequence[str] = (), started_in: Path | None = None
) -> RunConfig:
    """Load a configuration, apply `key=value` overrides and resolve every path.

    Paths in the file are relative to the file; paths in overrides, which a person types
    in a shell, are relative to the working directory.

    Args:
        path: YAML file; None for the installed default.
        overrides: For example `training.budget_seconds=30` or `sources.0.path=texts`.
        started_in: Folder that typed paths start from; None for the working directory.

    Raises:
        ConfigError: One sentence that names the key, the value and what is expected.
    """
    path = (path or default_config_path()).absolute()
    values = read_yaml(path)
    _resolve_paths(values, path.parent)
    if overrides:
        for text in overrides:
            _apply_override(values, text)
        # Absolute already where the file named them, so only typed paths change here.
        _resolve_paths(values, started_in or Path.cwd())
    if "preset" in values:
        _apply_preset(values, where=str(path))
    if "gates" in values:
        values["gates"] = _load_gates(values["gates"], path)
        _check_probes(values["gates"])
    return parse_config(values, where=str(path))


def parse_config(values: Mapping[str, Any], *, where: str) -> RunConfig:
    """Validate a mapping as a `RunConfig`.

    Raises:
        ConfigError: For the first thing that is wrong, saying how many more there are.
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(error, RunConfig)}") from error


def explain(error: ValidationError, root: type[BaseModel]) -> str:
    """Turn a validation error into one sentence: key, value, what is expected."""
    problems = error.errors(include_url=False)
    first = problems[0]
    location = [str(part) for part in first["loc"] if not str(part).startswith("function-")]
    key = ".".join(location)
    value = first["input"]
    if first["type"] == "extra_forbidden":
        known = _known_keys(root, first["loc"][:-1])
        near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
        sentence = f"unknown key {key!r}; {hint}"
    elif first["type"] == "missing":
        sentence = f"the key {key!r} is missing"
    else:
        reason = first["msg"].removeprefix("Value error, ")
        reason = re.sub(r"^Input should be", "expected", reason)
        shown = "" if isinstance(value, dict | list | BaseModel) else f"={_short(value)}"
        sentence = f"{key}{shown}: {reason}" if key else reason
    if len(problems) > 1:
        sentence += f" (and {len(problems) - 1} more)"
    return sentence


def _short(value: object) -> str:
    text = str(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _known_keys(root: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    model: Any = root
    for part in location:
        if isinstance(part, int) or model is None:
            continue
        field = model.model_fields.get(part)
        model = _model_of(field.annotation) if field else None
    return list(model.model_fields) if model else []


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (list, Union, Annotated, types.UnionType):
        return next((m for a in get_args(annotation) if (m := _model_of(a))), None)
    return None


def _resolve_paths(values: dict[str, Any], base: Path) -> None:
    _resolve_probes(values.get("gates"), base)
    sources = values.get("sources")
    for source in sources if isinstance(sources, list) else []:
        if not isinstance(source, dict):
            continue
        for key in ("path", "target_path"):
            if isinstance(source.get(key), str):
                source[key] = str(base / Path(source[key]).expanduser())
        local = source.get("dataset")
        if isinstance(local, str) and (base / local).is_dir():
            source["dataset"] = str(base / local)
    data = values.get("data")
    if isinstance(data, dict) and isinstance(data.get("names"), str):
        data["names"] = str(base / Path(data["names"]).expanduser())


def _apply_override(values: dict[str, Any], text: str) -> None:
    key, equals, raw = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text}: expected dotted.key=value")
    try:
        value = yaml.load(raw, Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text}: the value is not valid YAML") from error
    parts = key.strip().split(".")
    target: Any = values
    for part in parts[:-1]:
        if isinstance(target, list):
            target = target[_index(target, part, text)]
        elif isinstance(target, dict):
            if target.get(part) is None:
                target[part] = {}
            target = target[part]
        else:
            raise ConfigError(f"--set {text}: {part!r} is inside a plain value")
    if isinstance(target, list):
        target[_index(target, parts[-1], text)] = value
    elif isinstance(target, dict):
        target[parts[-1]] = value
        if parts[0] == "training" and value is not None:
            _keep_one_bound(target, parts[-1])
    else:
        raise ConfigError(f"--set {text}: {parts[-1]!r} is inside a plain value")


def _keep_one_bound(training: dict[str, Any], given: str) -> None:
    # The bound that is given last replaces the others.
    if given in TRAINING_BOUNDS:
        for other in TRAINING_BOUNDS:
            if other != given:
                training.pop(other, None)


def _index(items: list[Any], part: str, text: str) -> int:
    if not part.isdigit() or int(part) >= len(items):
        raise ConfigError(
            f"--set {text}: expected an index from 0 to {len(items) - 1}, not {part!r}"
        )
    return int(part)


def presets() -> dict[str, dict[str, Any]]:
    """The named settings that come with lmcore: sections by name."""
    return read_yaml(Path(str(importlib.resources.files("configs") / "presets.yaml")))


def _apply_preset(values: dict[str, Any], *, where: str) -> None:
    """Replace the key `preset` by the sections that it names; the config's own keys win."""
    known, name = presets(), values.pop("preset")
    if name is None:
        return
    if not isinstance(name, str) or name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
        raise ConfigError(f"{where}: unknown preset {name!r}; {hint}")
    for section, settings in known[name].items():
        own = values.get(section) or {}
        if not isinstance(own, dict):
            continue  # the section's own check says what is wrong
        if section == "tokenizer" and own.get("kind", settings["kind"]) != settings["kind"]:
            continue  # the size of one kind says nothing about another
        merged = {**settings, **own}
        for bound in TRAINING_BOUNDS if section == "training" else ():
            if own.get(bound) is not None:
                _keep_one_bound(merged, bound)
        values[section] = merged


def _load_gates(value: object, config_path: Path) -> object:
    if isinstance(value, str):
        path = config_path.parent / value
        if value == "gates.yaml" and not path.exists():
            return GatesConfig.default()
        limits = read_yaml(path)
        _resolve_probes(limits, path.parent)
        return limits
    return value


def _probes(gates: object) -> dict[str, Any]:
    section = gates.get("evaluation") if isinstance(gates, dict) else None
    probes = section.get("probes") if isinstance(section, dict) else None
    return probes if isinstance(probes, dict) else {}


def _resolve_probes(gates: object, base: Path) -> None:
    probes = _probes(gates)
    for name, path in probes.items():
        if isinstance(path, str):
            probes[name] = str(base / Path(path).expanduser())


def _check_probes(gates: object) -> None:
    # Before a training, not after it.
    for name, path in _probes(gates).items():
        if isinstance(path, str) and not Path(path).is_file():
            raise ConfigError(
                f"gates.evaluation.probes.{name}={path!r} is not a file; give the path of its data,"
                " or leave it out"
            )
