"""The configurations that a command was given, and what they need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ConfigDict, Field

from flows.home import schedules
from flows.home.folders import Home
from lmcore.config import RunConfig
from lmcore.config_file import default_config_path, load_config
from lmcore.errors import UserError
from lmcore.model.config import PretrainedConfig
from lmcore.model.pretrained.places import asks_the_hub, find_place
from lmcore.settings import Section


class ConfigReference(Section):
    """A configuration by its file: what a person who starts a run by hand changes.

    Attributes:
        name: The model, as the file names it.
        path: Of the file.
        overrides: `dotted.key=value`, as `lmcore run --set` takes them.
    """

    model_config = ConfigDict(title="Configuration by its file")

    name: str = Field(description="The model that the file is for.")
    path: str = Field(description="The configuration's file, on the machine of the run.")
    overrides: list[str] = Field(
        default_factory=list,
        description="Changes for this run, for example training.budget_seconds=600.",
    )


def resolved(config: ConfigReference | RunConfig, home: Home) -> RunConfig:
    """The whole configuration.

    Raises:
        UserError: If its file cannot be read, is wrong, or is for another model.
    """
    if isinstance(config, RunConfig):
        return config
    found = read_config(home, Path(config.path), overrides=config.overrides)
    if found.name != config.name:
        raise UserError(
            f"config.name={config.name!r}, but {config.path} with its overrides is for the model"
            f" {found.name!r}; name that one"
        )
    return found


def names_the_hub(config: RunConfig) -> bool:
    """Whether a source or the model is one of the Hugging Face hub: needs the network."""
    if isinstance(config.model, PretrainedConfig) and asks_the_hub(config.model):
        return True
    return any(s.dataset is not None and not Path(s.dataset).is_dir() for s in config.sources)


def glance_at_model(config: RunConfig) -> None:
    """See whether the model to start from is there, without reading or fetching it.

    Raises:
        SourceError: If it is not.
    """
    if isinstance(config.model, PretrainedConfig) and not asks_the_hub(config.model):
        find_place(config.model)


def read_config(
    home: Home,
    config_file: Path | None,
    *,
    overrides: Sequence[str] = (),
    check_schedule: bool = True,
) -> RunConfig:
    """The configuration in a file, or the installed default, whose schedule can be kept.

    Args:
        home: Where it is used.
        config_file: None: the installed default.
        overrides: `dotted.key=value`.
        check_schedule: False where `schedule_is_kept` will be asked later: it may import Prefect.

    Raises:
        UserError: If it is wrong.
    """
    file = home.resolve(config_file) if config_file else None
    config = load_config(file, overrides=overrides, started_in=home.started_in)
    if check_schedule:
        schedule_is_kept(home, config, config_file)
    return config


def schedule_is_kept(home: Home, config: RunConfig, config_file: Path | None) -> None:
    """See whether the scheduler can keep the schedule of a configuration.

    Args:
        home: Where it is used.
        config: As it was read.
        config_file: From where; None: the installed default.

    Raises:
        ConfigError: If it cannot.
    """
    where = str(home.resolve(config_file) if config_file else default_config_path())
    schedules.check_schedule(config, where=where, kept=home.planned_runs)


def load_configs(home: Home, config_files: Sequence[Path]) -> list[RunConfig]:
    """The configurations that a command was given; none means the installed default.

    Raises:
        UserError: If one is wrong, or two are for the same model.
    """
    configs: dict[str, RunConfig] = {}
    for file in config_files or (None,):
        config = read_config(home, file)
        if config.name in configs:
            raise UserError(f"--config: two configurations are for the model {config.name!r}.")
        configs[config.name] = config
    return list(configs.values())
