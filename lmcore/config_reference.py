"""Every key of a configuration explains itself: out come name, type, bounds, default and reason.

All of it is read from the schema of the sections (`lmcore.config_schema`), so a key that is added
is here with what its class says of it.  Limits of gates and monitoring have the value of the
installed file as default, because that is what acts.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml
from pydantic import BaseModel

from lmcore.config import RunConfig
from lmcore.config_schema import config_schema, parts
from lmcore.errors import ConfigError
from lmcore.settings import short

SECTION, SECTIONS = "section", "list of sections"
_OR = ", or "
_KINDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
    "minLength": "characters: at least {}",
    "maxLength": "characters: at most {}",
    "minItems": "entries: at least {}",
    "maxItems": "entries: at most {}",
    "pattern": "matching {}",
}


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key of the configuration.

    Attributes:
        name: Dotted, as `--set` takes it; of a list its first entry: `sources.0.path`.
        section: Name of the key that it stands below; empty at the top.
        kind: What its value is, in words.
        bounds: Of the value, in words; empty where there are none.
        default: What holds where it is not given, as YAML; None: it must be given. Of a section it
            is empty, as its keys have theirs.
        form: `scratch` or `pretrained`, where only one form of the section has it; else empty.
        description: What it does, in which unit, and why it is as it is.
    """

    name: str
    section: str
    kind: str
    bounds: str
    default: str | None
    form: str
    description: str

    @property
    def is_section(self) -> bool:
        """Whether keys stand below it."""
        return not {SECTION, SECTIONS}.isdisjoint(self.kind.split(_OR))


@functools.cache
def keys() -> tuple[Key, ...]:
    """Every key, a section before what stands in it, in the order of a file."""
    schema = config_schema()
    preset = _key("preset", schema["properties"]["preset"])
    return preset, *_walk(RunConfig, {**schema["$defs"], RunConfig.__name__: schema})


def find(name: str) -> Key:
    """The key of a name; any entry of a list may be meant, and its number may be left out.

    Raises:
        ConfigError: If there is none, naming the nearest one.
    """
    by_name = {_plain(key.name): key for key in keys()}
    if (found := by_name.get(_plain(name))) is not None:
        return found
    near = difflib.get_close_matches(_plain(name), by_name, n=1, cutoff=0.5)
    last = name.rpartition(".")[2]
    same = [key.name for key in keys() if key.name.rpartition(".")[2] == last]
    if same:
        hint = f"did you mean {' or '.join(same[:3])}?"
    elif near:
        hint = f"did you mean {by_name[near[0]].name}?"
    else:
        hint = "`lmcore config --explain` lists the sections"
    raise ConfigError(f"unknown key {short(name)}; {hint}")


def below(section: Key) -> tuple[Key, ...]:
    """The keys that stand in a section itself."""
    return tuple(key for key in keys() if key.section == section.name)


def _plain(name: str) -> str:
    return re.sub(r"\.[0-9]{1,9}(?=\.|$)", "", name.strip())


def _walk(
    model: type[BaseModel],
    schemas: Mapping[str, Any],
    *,
    section: str = "",
    step: str = "",
    form: str = "",
) -> Iterator[Key]:
    schema, seen = schemas[model.__name__], set()
    prefix = f"{section}{step}." if section else ""
    for name, field in model.model_fields.items():
        full = f"{prefix}{name}"
        key = _key(full, schema["properties"][name], section=section, form=form)
        yield key if name not in schema.get("required", ()) else replace(key, default=None)
        for part in parts(field.annotation):
            inner_step = ".0" if part.many else ""
            for inner in _walk(part.model, schemas, section=full, step=inner_step, form=part.form):
                if inner.name not in seen:  # of several forms of a section
                    seen.add(inner.name)
                    yield inner


def _key(name: str, schema: Mapping[str, Any], *, section: str = "", form: str = "") -> Key:
    default = _as_yaml(schema["default"]) if "default" in schema else ""
    return Key(
        name=name,
        section=section,
        kind=_kind(schema),
        bounds=", ".join(_bounds(schema)),
        default=default,
        form=form,
        description=" ".join(schema.get("description", "").split()),
    )


def _as_yaml(value: Any) -> str:
    # JSON is YAML; most words need no quotation marks, but `off` would be false.
    if isinstance(value, str) and yaml.safe_load(value) == value:
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(_as_yaml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema or "oneOf" in schema:
        return SECTION
    if "anyOf" in schema:
        kinds = [_kind(each) for each in schema["anyOf"]]
        return _OR.join(kinds)
    if "const" in schema:
        return f"only {_as_yaml(schema['const'])}"
    if "enum" in schema:
        return f"one of {', '.join(map(_as_yaml, schema['enum']))}"
    if schema.get("type") == "array":
        inner = _kind(schema["items"])
        joint = "list, each" if "enum" in schema["items"] else "list of"
        return SECTIONS if inner == SECTION else f"{joint} {inner}"
    if schema.get("format") == "date":
        return "date (YYYY-MM-DD)"
    return _KINDS[schema["type"]]


def _bounds(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, words in _BOUNDS.items():
        if name in schema:
            value = schema[name]
            # As digits, and without those that say nothing: 10,000,000 and 1.
            shown = value if isinstance(value, str) else f"{value:,}".removesuffix(".0")
            yield words.format(shown)
    for inner in schema.get("anyOf", ()):
        yield from _bounds(inner)
    if "items" in schema:
        yield from (f"each {words}" for words in _bounds(schema["items"]))
