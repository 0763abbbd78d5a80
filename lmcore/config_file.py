"""From a YAML file and what was typed beside it to a `RunConfig`.

Overrides, presets and the file of the gates' limits are put together as plain values; what they
mean, and whether they may be, is checked once, by the sections themselves.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from lmcore.config import RunConfig, parse_config
from lmcore.errors import ConfigError, UserError
from lmcore.typed_path import is_address, typed_path
from lmcore.yaml_file import parse_yaml, read_yaml, shipped, without_odd_characters

TRAINING_BOUNDS = ("budget_seconds", "max_steps", "max_epochs")


def default_config_path() -> Path:
    """The configuration that runs when the user names none."""
    return shipped("demo.yaml")


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
    path = typed_path(path or default_config_path(), base=Path.cwd())
    values = read_yaml(path)
    _load_gates(values, path.parent)
    _resolve_paths(values, path.parent)
    if overrides:
        typed_in = started_in or Path.cwd()
        for text in overrides:
            _apply_override(values, text)
            _load_gates(values, typed_in)  # a later one may be about a limit in it
        # Absolute already where the file named them, so only typed paths change here.
        _resolve_paths(values, typed_in)
    if "preset" in values:
        _apply_preset(values, where=str(path))
    _check_probes(values.get("gates"))
    return parse_config(values, where=str(path))


def _resolve_paths(values: dict[str, Any], base: Path) -> None:
    _resolve_probes(values.get("gates"), base)
    sources = values.get("sources")
    for number, source in enumerate(sources if isinstance(sources, list) else []):
        if not isinstance(source, dict):
            continue
        for key in ("path", "target_path"):
            if isinstance(source.get(key), str) and not is_address(source[key]):
                source[key] = str(_typed(source[key], base, f"sources.{number}.{key}"))
        local = source.get("dataset")
        if isinstance(local, str):
            folder = _typed(local, base, f"sources.{number}.dataset")
            if folder.is_dir():  # else it is a data set of the hub
                source["dataset"] = str(folder)
    model = values.get("model")
    if isinstance(model, dict) and isinstance(model.get("pretrained"), str):
        there = _typed(model["pretrained"], base, "model.pretrained")
        if there.exists():  # it may be a package or a model of the hub as well
            model["pretrained"] = str(there)
    data = values.get("data")
    if isinstance(data, dict) and isinstance(data.get("names"), str):
        data["names"] = str(_typed(data["names"], base, "data.names"))


def _typed(text: str, base: Path, key: str) -> Path:
    try:
        return typed_path(text, base=base, key=key)
    except UserError as error:
        raise ConfigError(str(error)) from error


def _apply_override(values: dict[str, Any], text: str) -> None:
    key, equals, raw = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text[:80]}: expected dotted.key=value")
    try:
        value = parse_yaml(raw)
        without_odd_characters([key, value])
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text[:80]}: the value is not valid YAML") from error
    except ConfigError as error:
        raise ConfigError(f"--set {text[:80]}: {error}") from error
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
            raise ConfigError(f"--set {text[:80]}: {part!r} is inside a plain value")
    if isinstance(target, list):
        target[_index(target, parts[-1], text)] = value
    elif isinstance(target, dict):
        target[parts[-1]] = value
        if parts[0] == "training" and value is not None:
            _keep_one_bound(target, parts[-1])
    else:
        raise ConfigError(f"--set {text[:80]}: {parts[-1]!r} is inside a plain value")


def _keep_one_bound(training: dict[str, Any], given: str) -> None:
    # The bound that is given last replaces the others.
    if given in TRAINING_BOUNDS:
        for other in TRAINING_BOUNDS:
            if other != given:
                training.pop(other, None)


def _index(items: list[Any], part: str, text: str) -> int:
    if re.fullmatch("[0-9]{1,9}", part) is None or int(part) >= len(items):
        raise ConfigError(
            f"--set {text[:80]}: expected an index from 0 to {len(items) - 1}, not {part!r}"
        )
    return int(part)


def presets() -> dict[str, dict[str, Any]]:
    """The named settings that come with lmcore: sections by name."""
    return read_yaml(shipped("presets.yaml"))


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
        for key, inner in settings.items():  # the limits of the gates are a level deeper
            if isinstance(inner, dict) and isinstance(own.get(key), dict):
                merged[key] = {**inner, **own[key]}
        for bound in TRAINING_BOUNDS if section == "training" else ():
            if own.get(bound) is not None:
                _keep_one_bound(merged, bound)
        values[section] = merged
    model = values.get("model")
    if isinstance(model, dict) and "adapt" in model and "pretrained" not in model:
        raise ConfigError(
            f"{where}: preset {name} is for a model that exists; name one as model.pretrained"
        )


def _load_gates(values: dict[str, Any], base: Path) -> None:
    """Replace the name of a file by the limits in it; the installed file differs in none."""
    name = values.get("gates")
    if not isinstance(name, str):
        return
    path = _typed(name, base, "gates")
    if name == "gates.yaml" and not path.exists():
        values["gates"] = {}
        return
    values["gates"] = limits = read_yaml(path)
    _resolve_probes(limits, path.parent)


def _probes(gates: object) -> dict[str, Any]:
    section = gates.get("evaluation") if isinstance(gates, dict) else None
    probes = section.get("probes") if isinstance(section, dict) else None
    return probes if isinstance(probes, dict) else {}


def _resolve_probes(gates: object, base: Path) -> None:
    probes = _probes(gates)
    for name, path in probes.items():
        if isinstance(path, str):
            probes[name] = str(_typed(path, base, f"gates.evaluation.probes.{name}"))


def _check_probes(gates: object) -> None:
    # Before a training, not after it.
    for name, path in _probes(gates).items():
        if isinstance(path, str) and not Path(path).is_file():
            raise ConfigError(
                f"gates.evaluation.probes.{name}={path!r} is not a file; give the path of its data,"
                " or leave it out"
            )
