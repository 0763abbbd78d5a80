"""Base of every configuration section, and the sentence that is said of a wrong one."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Tag, ValidationError

#: What a registered model may be called.
MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"


class Section(BaseModel):
    """A configuration section: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def explain(error: ValidationError, root: type[BaseModel]) -> str:
    """Turn a validation error into one sentence: key, value, what is expected."""
    problems = error.errors(include_url=False)
    first = problems[0]
    parts = _without_tags(root, first["loc"])
    location = [str(part) for part in parts if not str(part).startswith("function-")]
    key = ".".join(location)
    value = first["input"]
    if first["type"] == "extra_forbidden":
        known, others = _known_keys(root, first["loc"][:-1])
        near = difflib.get_close_matches(location[-1], [*known, *others], n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
        sentence = f"unknown key {key!r}; {hint}"
    elif first["type"] == "missing":
        sentence = f"the key {key!r} is missing"
    else:
        reason = first["msg"].removeprefix("Value error, ")
        reason = re.sub(r"^Input should be", "expected", reason)
        shown = "" if isinstance(value, dict | list | BaseModel) else f"={short(value)}"
        sentence = f"{key}{shown}: {reason}" if key else reason
    if len(problems) > 1:
        sentence += f" (and {len(problems) - 1} more)"
    return sentence


def short(value: object) -> str:
    """A value as it is shown in a sentence."""
    text = str(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _known_keys(
    root: type[BaseModel], location: Sequence[int | str]
) -> tuple[list[str], list[str]]:
    """Keys of a section, and those of the sections that could stand in its place."""
    model: Any = root
    annotation: Any = root
    others: list[str] = []
    for part in location:
        if isinstance(part, int) or model is None:
            continue
        if (tagged := _tagged(annotation, part)) is not None:
            others = [key for option in _options(annotation) for key in option.model_fields]
            model = annotation = tagged
            continue
        others = []
        field = model.model_fields.get(part)
        annotation = field.annotation if field else None
        model = _model_of(field.annotation) if field else None
    return list(model.model_fields) if model else [], others


def _without_tags(root: type[BaseModel], location: Sequence[int | str]) -> list[int | str]:
    """Where something is wrong, as a person wrote it: without the tag of a section's kind."""
    kept: list[int | str] = []
    annotation: Any = root
    for part in location:
        if (tagged := _tagged(annotation, part)) is not None:
            annotation = tagged
            continue
        kept.append(part)
        model = _model_of(annotation)
        field = model.model_fields.get(str(part)) if model else None
        if not isinstance(part, int):
            annotation = field.annotation if field else None
    return kept


def _tagged(annotation: Any, tag: int | str) -> type[BaseModel] | None:
    """The section that a tag stands for, where an annotation offers several by tag."""
    for option in get_args(annotation):
        if any(isinstance(extra, Tag) and extra.tag == tag for extra in get_args(option)[1:]):
            return _model_of(get_args(option)[0])
        if (found := _tagged(option, tag)) is not None:
            return found
    return None


def _options(annotation: Any) -> list[type[BaseModel]]:
    """All sections that an annotation offers."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _options(part)]


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (list, tuple, Union, Annotated, types.UnionType):
        return next((m for a in get_args(annotation) if (m := _model_of(a))), None)
    return None
