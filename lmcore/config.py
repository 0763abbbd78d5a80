"""The configuration of one pipeline: plain values in, a frozen and fully resolved `RunConfig` out.

YAML holds values (`lmcore.config_file` reads it), the sections' classes hold meaning (each lives
beside the code that it configures).  Whatever is wrong becomes one sentence that names the file,
the key, the value and what is expected; an unknown key names the nearest right one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig, TokenizerConfig
from lmcore.data.requests.config import ServeConfig
from lmcore.data.text.person_names import names_digest
from lmcore.digests import digest
from lmcore.errors import ConfigError
from lmcore.evaluation.bias.words import WORDS
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.drift.config import MonitorConfig
from lmcore.model.config import AnyModelConfig, ModelConfig, PretrainedConfig
from lmcore.settings import MODEL_NAME, Section, explain, short
from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.task import LANGUAGE_MODELLING, TASKS, TaskName
from lmcore.training.config import HOW_IT_IS_RUN, TrainingConfig

# Sections and keys that shape neither a model nor its verdict.
_NOT_OF_THE_MODEL = ("schedule", "promote", "monitor", "serve", "timeline", "retention")
_MODEL: TypeAdapter[AnyModelConfig] = TypeAdapter(AnyModelConfig)
_CRON_FIELD = re.compile(r"[0-9A-Za-z*?/,#-]{1,100}")


class ScheduleConfig(Section):
    """When the pipeline runs by itself."""

    cron: str = Field(
        description="When the pipeline runs, in five fields: minute hour day-of-month month"
        " day-of-week; `0 3 * * 1` is Mondays at three."
    )
    timezone: str = "UTC"
    """IANA time zone that `cron` is read in, such as Europe/Paris; UTC has no summer time."""
    watch_minutes: int | None = Field(
        10,
        ge=1,
        le=10_080,
        description="Minutes between two looks of `lmcore up` whether the sources have changed;"
        " new text starts a run at once. null: it is read when the schedule says so.",
    )

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, cron: str) -> str:
        # Whether the scheduler can keep it is asked where commands read their configuration.
        fields = cron.split()
        if len(fields) != 5 or not all(_CRON_FIELD.fullmatch(field) for field in fields):
            raise ValueError("expected five cron fields, for example '0 3 * * 1'")
        return " ".join(fields)

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

    dates: list[date] = Field(
        min_length=1,
        description="Days in ascending order; each is `data.as_of` in its turn, so sources need a"
        " `date_field`.",
    )

    @field_validator("dates")
    @classmethod
    def _ascending(cls, dates: list[date]) -> list[date]:
        if any(later <= earlier for earlier, later in itertools.pairwise(dates)):
            raise ValueError("expected days in ascending order, each once")
        return dates


class RetentionConfig(Section):
    """What is deleted by itself after each run; `lmcore prune` deletes more when it is asked to."""

    versions: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Newest versions of the model that are kept, beside those in use and what they"
        " need, as with `lmcore prune --keep`; null: all of them.",
    )
    content_days: int | None = Field(
        30,
        ge=1,
        le=100_000,
        description="Documents, shards, checkpoints and the like that no version and no unfinished"
        " run names are kept for so many days after they last changed, and so is what was found"
        " damaged; they can be made again. null: for ever.",
    )


class RunConfig(Section):
    """Everything that one run of the pipeline is told."""

    name: str = Field(
        pattern=f"^{MODEL_NAME}$",
        description="Name of the registered model; every run with it makes another version of the"
        " same model.",
    )
    task: TaskName = LANGUAGE_MODELLING.name
    """What is made of the text: a model that continues it, or, of text with a label, translation or
    summary, one that gives these.
    """
    base: str | None = Field(
        None,
        description="Registered language model whose champion a task starts from, with its"
        " tokenizer and shape, which helps a lot; null: from random weights, or from"
        " `model.pretrained`.",
    )
    sources: list[SourceConfig] = Field(
        min_length=1,
        description="Places that text comes from, each exactly one of `path`, `package`, `dataset`"
        " and `requests`, with its licence and origin.",
    )
    data: DataConfig = Field(default_factory=DataConfig)
    policy: PolicyConfig = Field(default_factory=PolicyConfig)
    tokenizer: TokenizerConfig = Field(default_factory=TokenizerConfig)
    keep_tokenizer: float | None = Field(
        0.05,
        ge=0,
        lt=1,
        description="The champion's tokenizer is kept where it was configured alike, all text that"
        " it was fitted on is still there, and text that is new to it has at most this share fewer"
        " bytes a token than text that it knows; then only new text is cut into tokens. null: each"
        " run fits its own. Tasks do, and models that exist have their own tokenizer.",
    )
    model: AnyModelConfig = Field(
        default_factory=ModelConfig,
        description="The model that learns: random weights in a shape (form scratch), or a model"
        " that exists and is gone on from (form pretrained, where `pretrained` names it).",
    )
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    fine_tuning: FineTuningConfig = Field(default_factory=FineTuningConfig)
    gates: GatesConfig = Field(default_factory=GatesConfig.default)
    promote: bool = Field(
        True,
        description="Whether a version that passed every required gate becomes the champion; false"
        " registers it, and a person decides (`lmcore promote`).",
    )
    schedule: ScheduleConfig | None = None
    monitor: MonitorConfig = Field(default_factory=MonitorConfig.default)
    serve: ServeConfig = Field(default_factory=ServeConfig)
    timeline: TimelineConfig | None = None
    retention: RetentionConfig = Field(default_factory=RetentionConfig)

    @model_validator(mode="before")
    @classmethod
    def _no_canaries(cls, values: object) -> object:
        """Take `canaries: off` as it was meant: YAML reads a bare off as false."""
        given = dict(values) if isinstance(values, Mapping) else {}
        policy = given.get("policy")
        if isinstance(policy, Mapping) and policy.get("canaries") is False:
            return {**given, "policy": {**policy, "canaries": "off"}}
        return values

    @model_validator(mode="before")
    @classmethod
    def _training_suits_the_model(cls, values: object) -> object:
        """Write out the defaults of `training` that the model wants otherwise."""
        given = dict(values) if isinstance(values, Mapping) else {}
        of_model, own = given.get("model"), given.get("training") or {}
        if not (isinstance(of_model, Mapping) and isinstance(own, Mapping)):
            return values
        try:
            model = _MODEL.validate_python(of_model)
        except ValidationError:
            return values  # the section's own check says what is wrong
        of_task = given.get("task", LANGUAGE_MODELLING.name) != LANGUAGE_MODELLING.name
        defaults = dict(model.task_training_defaults if of_task else model.training_defaults)
        if not defaults:
            return values
        told = {key: value for key, value in own.items() if value is not None}
        processes = told.get("processes", 1)
        if isinstance(processes, int) and processes > 0:
            defaults["batch_size"] = -(-defaults["batch_size"] // processes) * processes
        return {**given, "training": {**defaults, **told}}

    @model_validator(mode="after")
    def _steps_fit_the_context(self) -> RunConfig:
        length = self.training.sequence_length
        if isinstance(self.model, PretrainedConfig) and length > self.model.context:
            raise ValueError(
                f"training.sequence_length={length}, but model.context={self.model.context} is all"
                " that is read together; lower the one, or raise the other"
            )
        return self

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
            raise ValueError(f"base={short(self.base)}: expected the name of a registered model")
        if self.base == self.name:
            raise ValueError(f"base={self.base!r} is the model itself; give the task another name")
        if self.base is not None and isinstance(self.model, PretrainedConfig):
            raise ValueError(
                f"base={self.base!r} and model.pretrained={short(self.model.pretrained)}: a task"
                " starts from one model; set base to null, or leave model out"
            )
        for index, source in enumerate(self.sources):
            if source.format == "parallel" or source.requests is not None:
                continue
            if source.target_field is None:
                raise ValueError(
                    f"sources.{index}.target_field is missing; task {self.task} needs the column"
                    f" of the {task.target}"
                )
            if source.target_field == source.text_field:
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

        Not part of it: where a source or a model lies (its bytes are fingerprinted instead), the
        schedule, whether the result may be promoted, how it is monitored, and in which processes
        it is trained as long as their number is the same.

        Raises:
            ConfigError: If `data.names` is no folder with a model.
        """
        sections = self.model_dump(mode="json", exclude=set(_NOT_OF_THE_MODEL))
        for source in sections["sources"]:
            del source["path"], source["target_path"]
        # Its bytes count instead, as those of sources.
        sections["model"].pop("pretrained", None)
        for name in HOW_IT_IS_RUN:
            del sections["training"][name]
        if self.data.names is not None:
            sections["data"]["names"] = names_digest(self.data.names)
        return digest(sections)

    def to_yaml(self) -> str:
        """The resolved configuration as YAML that `load_config` reads again."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def parse_config(values: Mapping[str, Any], *, where: str) -> RunConfig:
    """Validate a mapping as a `RunConfig`.

    Raises:
        ConfigError: For the first thing that is wrong, saying how many more there are.
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(error, RunConfig)}") from error
