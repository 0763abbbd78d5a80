"""The form of a configuration file as JSON Schema (draft 2020-12), for editors and checks.

Out comes what the sections' classes say: keys, types, bounds, defaults, and what each key is for.
A key is described in its `Field`, or by the string below it where it needs no `Field`; a key that
is a section is described by its class, if nothing else is said.  Beside the sections stands what
only a file may say: `preset`, and `gates` as the path of a file.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic_core import to_jsonable_python

from lmcore.config import RunConfig
from lmcore.config_file import presets
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.drift.config import MonitorConfig

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: Sections whose defaults are values of a file, which are put under whatever is given.
_SHIPPED: tuple[type[GatesConfig] | type[MonitorConfig], ...] = (GatesConfig, MonitorConfig)
_PRESET = (
    "Named settings that come with lmcore, mostly for `tokenizer`, `model` and `training`, by the"
    " machine and the time that there is. Keys that the file states itself win."
)
_GATES_FILE = "Path of a file with the limits that differ from the installed ones."


@dataclass(frozen=True, kw_only=True)
class Part:
    """A class that a key's value may be.

    Attributes:
        model: The class.
        many: Whether the value is a list of such.
        form: Which of several forms of the section it is, by its tag; empty where there is one.
    """

    model: type[BaseModel]
    many: bool
    form: str


def parts(annotation: Any, *, many: bool = False, form: str = "") -> Iterator[Part]:
    """The sections that an annotation offers."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield Part(model=annotation, many=many, form=form)
        return
    arguments = get_args(annotation)
    tags = [each.tag for each in arguments if isinstance(each, Tag)]
    is_list = many or get_origin(annotation) is list
    for inner in arguments:
        yield from parts(inner, many=is_list, form=tags[0] if tags else form)


def config_schema() -> dict[str, Any]:
    """The schema of a configuration file."""
    schema = RunConfig.model_json_schema()
    schemas = {**schema["$defs"], RunConfig.__name__: schema}
    for model in _models(RunConfig):
        _complete(schemas[model.__name__], model)
    for section in _SHIPPED:
        _put_defaults(schemas, section, section.default())
    keys = schema["properties"]
    keys["preset"] = {"enum": [*presets(), None], "default": None, "description": _PRESET}
    limits = keys["gates"]
    keys["gates"] = {
        "anyOf": [{"type": "string", "description": _GATES_FILE}, {"$ref": limits.pop("$ref")}],
        **limits,
    }
    return {"$schema": _DIALECT, **schema}


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for part in parts(field.annotation):
            yield from _models(part.model)


def _complete(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Say of each key of a section what its class says elsewhere."""
    below = _strings_below(model)
    for name, key in schema["properties"].items():
        key.pop("title", None)  # the name again
        field = model.model_fields[name]
        inner = list(parts(field.annotation))
        if "description" not in key and name in below:
            key["description"] = below[name]
        if "description" not in key and inner:
            key["description"] = inspect.cleandoc(inner[0].model.__doc__ or "")
        if not field.is_required() and (not inner or field.default is None):
            key["default"] = to_jsonable_python(field.get_default(call_default_factory=True))


def _put_defaults(
    schemas: dict[str, dict[str, Any]], model: type[BaseModel], values: BaseModel
) -> None:
    """Make every key of a section optional, with the value that stands where none is given."""
    schema = schemas[model.__name__]
    schema.pop("required", None)
    for name, field in model.model_fields.items():
        value = getattr(values, name)
        if isinstance(value, BaseModel):
            _put_defaults(schemas, next(parts(field.annotation)).model, value)
        else:
            schema["properties"][name]["default"] = to_jsonable_python(value)


@functools.cache
def _classes(path: Path) -> dict[str, ast.ClassDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _strings_below(model: type[BaseModel]) -> dict[str, str]:
    """What stands below a key of a class, as docstrings of attributes do."""
    path = sys.modules[model.__module__].__file__
    assert path is not None, model
    body = _classes(Path(path))[model.__name__].body
    return {
        key.target.id: inspect.cleandoc(words.value.value)
        for key, words in itertools.pairwise(body)
        if isinstance(key, ast.AnnAssign)
        and isinstance(key.target, ast.Name)
        and isinstance(words, ast.Expr)
        and isinstance(words.value, ast.Constant)
        and isinstance(words.value.value, str)
    }
