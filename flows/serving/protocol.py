"""What may be asked over HTTP, as the requests of OpenAI's reference and one of our own.

What a client may send and we do not do is accepted only where it changes nothing: `best_of` of 1,
penalties of 0, no `suffix`, no `logit_bias`.  All else is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from flows.serving.refusal import RefusalError

_LONGEST_STOP = 200
_TOKEN = Annotated[int, Field(ge=0, lt=1 << 31)]
_STOP = Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_STOP)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: str = Field(
        min_length=1,
        max_length=200,
        description="A registered model, or one version of it: NAME:7, NAME@challenger.",
    )


Asked = TypeVar("Asked", bound=_Request)


class StreamOptions(BaseModel):
    """What a stream tells beside the text."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    include_usage: bool = Field(False, description="A last event with the count of tokens.")
    include_obfuscation: bool | None = Field(None, description="Changes nothing.")


class CompletionRequest(_Request):
    """Continue one prompt or several."""

    prompt: str | list[str] | list[_TOKEN] | list[list[_TOKEN]] | None = Field(
        None, description="Text, texts, or ids of tokens; null: a document from its beginning."
    )
    max_tokens: int | None = Field(16, ge=0, description="Tokens of each answer, at most.")
    temperature: float | None = Field(1.0, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(1.0, ge=0, le=1, allow_inf_nan=False)
    n: int | None = Field(1, ge=1, le=128, description="Answers to each prompt.")
    best_of: int | None = Field(None, description="Only null or 1: nothing is drawn and discarded.")
    stop: _STOP | list[_STOP] | None = Field(None, description="An answer ends before any.")
    seed: int | None = Field(
        None,
        ge=-(1 << 63),
        lt=1 << 63,
        description="The same seed, version and request give the same answer.",
    )
    stream: bool | None = Field(False, description="Server-sent events.")
    stream_options: StreamOptions | None = None
    logprobs: int | None = Field(None, ge=0, le=5, description="Likeliest tokens to be told.")
    echo: bool | None = Field(False, description="Begin the answer with the prompt.")
    user: str | None = Field(None, max_length=1000, description="Changes nothing.")
    suffix: Literal[""] | None = Field(None, description="Only null.")
    presence_penalty: float | None = Field(0, ge=0, le=0, description="Only 0.")
    frequency_penalty: float | None = Field(0, ge=0, le=0, description="Only 0.")
    logit_bias: dict[str, float] | None = Field(None, max_length=0, description="Only empty.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.best_of not in (None, 1):
            raise ValueError("best_of: only 1; ask for n answers instead")
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options: only where stream is true")
        if isinstance(self.stop, list) and len(self.stop) > 4:
            raise ValueError("stop: at most 4 texts")
        return self

    def prompts(self) -> list[str] | list[list[int]]:
        """The prompts, one text or one list of ids each."""
        given = self.prompt
        if given is None:
            return [""]
        if isinstance(given, str):
            return [given]
        if given and isinstance(given[0], int):
            return [[token for token in given if isinstance(token, int)]]
        return given  # type: ignore[return-value]

    @property
    def size(self) -> int:
        """Characters or tokens of all prompts."""
        return sum(map(len, self.prompts()))

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end an answer."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


class ChatRequest(_Request):
    """A conversation to be continued; only `model` is read, as no version has a chat template."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    messages: list[dict[str, Any]] = Field(min_length=1)


class PredictRequest(_Request):
    """Texts for a model of a task."""

    input: str | list[str] = Field(description="One text or several.")

    @property
    def texts(self) -> list[str]:
        """The texts."""
        return [self.input] if isinstance(self.input, str) else list(self.input)


class FeedbackRequest(_Request):
    """What somebody says of an answer."""

    id: str | None = Field(
        None, max_length=100, description="Of the answer; null: input and output are told here."
    )
    index: int = Field(0, ge=0, lt=1 << 16, description="Which answer of its request.")
    rating: Literal["up", "down"] | None = Field(None, description="A thumb.")
    label: str | None = Field(
        None, min_length=1, max_length=1000, description="The right one, of a classifier."
    )
    correction: str | None = Field(
        None, min_length=1, max_length=1 << 16, description="What should have been written."
    )
    input: str | None = Field(None, max_length=1 << 17, description="What was asked.")
    output: str | None = Field(None, max_length=1 << 17, description="What was answered.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        said = [self.rating, self.label, self.correction]
        if not any(said):
            raise ValueError("rating: say rating, label or correction")
        if self.label is not None and self.correction is not None:
            raise ValueError("label: a label and a correction; an answer has one of them")
        if self.rating == "up" and (self.label or self.correction) is not None:
            raise ValueError("rating: up, and another answer; say which one is right")
        if self.id is None and self.input is None:
            raise ValueError("id: name the answer by its id, or tell input and output")
        if self.id is not None and (self.input is not None or self.output is not None):
            raise ValueError("input: the answer is known by its id; leave input and output out")
        if self.id is None and self.rating is not None and self.output is None:
            raise ValueError("output: a rating is of an answer; tell what it was")
        return self

    @property
    def accepted(self) -> str | None:
        """The right answer, where another one was told."""
        return self.label if self.label is not None else self.correction


def read(kind: type[Asked], values: Mapping[str, Any]) -> Asked:
    """A request of a kind.

    Raises:
        RefusalError: If a key is unknown, missing or of the wrong type.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        key, said = _first(error)
        if key in kind.model_fields or key is None:
            raise RefusalError(400, said, param=key) from error
        raise RefusalError(
            400, f"{key}: unknown; expected one of {', '.join(kind.model_fields)}", param=key
        ) from error


def _first(error: ValidationError) -> tuple[str | None, str]:
    """The key that is wrong, and one sentence; of a union the part that came nearest."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    keys = [str(one["loc"][0]) for one in found if one["loc"]]
    if not keys:
        said = str(found[0]["msg"]).removeprefix("Value error, ")
        key = said.partition(":")[0]
        return (key if key.isidentifier() else None), said
    of_key = [one for one in found if one["loc"] and str(one["loc"][0]) == keys[0]]
    deepest = max(of_key, key=lambda one: len(one["loc"]))
    ways = sorted({str(one["msg"]) for one in of_key if len(one["loc"]) == len(deepest["loc"])})
    return keys[0], f"{keys[0]}: {'; or '.join(ways)}"
