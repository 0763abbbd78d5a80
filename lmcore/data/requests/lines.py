"""The lines of what is kept: a request, feedback on its answer, and two versions beside each other.

One JSON object a line.  Text is masked before it becomes a line; the last kind holds none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid", strict=True)
Rating = Literal["up", "down"]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Asked:
    """A text that a model was asked about.

    Attributes:
        id: Of the answer that was given.
        index: Of the text in its request.
        at: ISO 8601 time in UTC.
        client: Who asked, by the name of the key.
        version: That answered.
        task: Of the model.
        text: Prompt, or input.
    """

    kind: Literal["asked"] = "asked"
    id: str
    index: int
    at: str
    client: str
    version: int
    task: str
    text: str


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Feedback:
    """What somebody said of an answer.

    Attributes:
        id: Of the answer; empty where the application told input and output itself.
        index: Of the text in its request.
        at: ISO 8601 time in UTC.
        client: Who said it, by the name of the key.
        version: That answered.
        task: Of the model.
        text: Prompt, or input.
        output: What the model answered; None: not known.
        rating: A thumb; None: none was given.
        accepted: The right answer: a label, a correction, or the output that was approved; None:
            only that the output is wrong.
    """

    kind: Literal["feedback"] = "feedback"
    id: str
    index: int
    at: str
    client: str
    version: int
    task: str
    text: str
    output: str | None
    rating: Rating | None
    accepted: str | None

    @property
    def right(self) -> bool | None:
        """Whether the output was what was wanted; None: nobody can tell."""
        if self.rating is not None:
            return self.rating == "up"
        if self.output is None or self.accepted is None:
            return None
        return self.output.strip() == self.accepted.strip()


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Beside:
    """One request as two versions read it; no text.

    Attributes:
        id: Of the answer that was given.
        index: Of the text in its request.
        at: ISO 8601 time in UTC.
        task: Of the model.
        version: That answered.
        shadow: That only read.
        num_bytes: UTF-8 bytes of the text.
        bits: Bits that the text costs the two; None for a task.
        outputs: Labels of the two; None where text is written.
        same: Whether both gave the same output; None for a language model.
    """

    kind: Literal["beside"] = "beside"
    id: str
    index: int
    at: str
    task: str
    version: int
    shadow: int
    num_bytes: int
    bits: tuple[float, float] | None = None
    outputs: tuple[str, str] | None = None
    same: bool | None = None


Line = Asked | Feedback | Beside
_LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


def written(line: Line) -> bytes:
    """A line with its end."""
    return json.dumps(asdict(line), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def parsed(raw: str | bytes) -> Line:
    """A line that `written` gave.

    Raises:
        ValueError: If it is none.
    """
    try:
        return _LINE.validate_json(raw, strict=True)
    except ValidationError as error:
        first: Mapping[str, Any] = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"no line of requests ({where}: {first['msg']})") from error
