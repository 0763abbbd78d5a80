"""JSON values that nobody has checked, read as the types that they should have.

In: what an evaluation, a training log or a tag of a registry left; anybody may have edited it.
Out: finite numbers, texts, and `Fact`s made of them.  What is missing or of another type is None or
empty, so that no page fails over it or shows a `nan`.  Behind the facts everything is typed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainValidator,
    ValidationError,
    WrapValidator,
)
from pydantic_core import PydanticOmit

# Nothing measured is larger, and differences and products of such numbers are still finite.
_LARGEST = 1e100


def finite(value: object) -> float | None:
    """A number; None for NaN, infinity and whatever is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= _LARGEST else None


def whole(value: object) -> int | None:
    """A number without its decimals."""
    known = finite(value)
    return None if known is None else int(known)


def text(value: object) -> str:
    """A text; empty for anything else."""
    return value if isinstance(value, str) else ""


def mapping(value: object) -> Mapping[str, Any]:
    """A mapping; empty for anything else."""
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def items(value: object) -> Sequence[Any]:
    """A list; empty for anything else."""
    return value if isinstance(value, list | tuple) else ()


def amounts(value: object) -> dict[str, float]:
    """Those entries of a mapping that are numbers and not negative."""
    known = {name: finite(item) for name, item in mapping(value).items()}
    return {name: item for name, item in known.items() if item is not None and item >= 0}


def instant(value: object) -> datetime | None:
    """A time, or its text in ISO 8601; in UTC where it names no zone."""
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(text(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Fact(BaseModel):
    """A frozen value that reads itself from JSON; keys that it does not know are left alone."""

    model_config = ConfigDict(
        frozen=True, validate_by_name=True, validate_by_alias=True, protected_namespaces=()
    )


T = TypeVar("T")


def _or_none(value: object, read: Callable[[object], T]) -> T | None:
    try:
        return read(mapping(value) if isinstance(value, Mapping) else value)
    except ValidationError:
        return None


def _readable(value: object, read: Callable[[object], T]) -> T:
    found = _or_none(value, read)
    if found is None:
        raise PydanticOmit
    return found


def _needed(read: Callable[[object], object]) -> PlainValidator:
    def check(value: object) -> object:
        found = read(value)
        if found is None:
            raise ValueError("not of its type")
        return found

    return PlainValidator(check)


def text_or(default: str) -> PlainValidator:
    """Reads a text; `default` where there is none."""
    return PlainValidator(lambda value: text(value) or default)


Number = Annotated[float | None, PlainValidator(finite)]
Count = Annotated[int | None, PlainValidator(whole)]
Text = Annotated[str, PlainValidator(text)]
MaybeText = Annotated[str | None, PlainValidator(lambda v: v if isinstance(v, str) else None)]
Texts = Annotated[tuple[str, ...], PlainValidator(lambda value: tuple(map(text, items(value))))]
Flag = Annotated[bool, PlainValidator(bool)]
Total = Annotated[int, PlainValidator(lambda value: whole(value) or 0)]
Amounts = Annotated[dict[str, float], PlainValidator(amounts)]
Moment = Annotated[datetime | None, PlainValidator(instant)]
#: Without these a fact cannot be read.
NeededNumber = Annotated[float, _needed(finite)]
NeededCount = Annotated[int, _needed(whole)]
NeededText = Annotated[str, _needed(lambda value: text(value) or None)]
NeededMoment = Annotated[datetime, _needed(instant)]
#: A fact, with defaults for all that is missing.
Part = Annotated[T, BeforeValidator(lambda v: v if isinstance(v, Fact) else mapping(v))]
#: A fact, or None where it cannot be read.
Maybe = Annotated[T | None, WrapValidator(_or_none)]
#: Those facts of a list, or of a mapping by name, that can be read.
Entries = Annotated[tuple[Annotated[T, WrapValidator(_readable)], ...], BeforeValidator(items)]
Named = Annotated[dict[Text, Annotated[T, WrapValidator(_readable)]], BeforeValidator(mapping)]
