"""Registered models as commands name them; importing this module imports MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.home.environment import Home, current
from flows.registry.models import Registry
from flows.registry.promotion import Promotion, settle
from flows.registry.versions import Version
from lmcore.errors import UserError
from lmcore.tasks.task import task_named
from lmcore.version_folder import VersionFolder


def settled(model: str | None) -> tuple[Registry, str]:
    """The registry and the model's name, after what a killed process left was put right."""
    registry = Registry(current())
    name = registry.choose_model(model)
    settle(registry, name)
    return registry, name


def all_settled(model: str | None) -> tuple[Registry, list[str]]:
    """The registry and the named model, or all of them, after the same."""
    registry = Registry(current())
    names = named(registry, model)
    for name in names:
        settle(registry, name)
    return registry, names


def named(registry: Registry, model: str | None) -> list[str]:
    """The named model, or all."""
    return [registry.choose_model(model)] if model is not None else registry.models()


def open_model(
    which: str, model: str | None, *, task: bool = False
) -> tuple[Version, VersionFolder]:
    """A version, by number or alias, with its verified files.

    Args:
        which: Number or alias.
        model: Name.
        task: Whether a model of a task is wanted, or a language model.

    Raises:
        UserError: If it is of the other kind.
    """
    registry, name = settled(model)
    version = registry.version(name, which)
    kind = task_named(version.task)
    if kind.is_language_model == task:
        use = "lmcore generate" if task else "lmcore predict"
        raise UserError(f"{name} is a model for {kind.title}; use it with `{use} --model {name}`.")
    return version, registry.open(version, whole=False)


def nothing_yet(home: Home) -> str:
    """What to tell where there is nothing to show, and what to do next."""
    lacking = "no home" if home.stands_for else "no model"
    return (
        f"There is {lacking} in {home.place} yet: `lmcore run` makes one from the embedded example,"
        " `lmcore init FOLDER` writes a configuration for your own text."
    )


def moved(done: Promotion, name: str, what: str) -> Mapping[str, Any]:
    """The answer of a command that moved the champion."""
    return {
        "model": name,
        "version": done.champion,
        "champion": done.champion,
        "previous": done.previous,
        "promoted": True,
        "sentence": f"Version {done.champion} of {name} {what}.",
    }
