"""What may be asked over HTTP, as the requests of OpenAI's reference and one of our own.

What a client may send and we do not do is accepted only where it changes nothing: `best_of` of 1,
penalties of 0, no `suffix`, no `logit_bias`.  All else is refused by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

_LONGEST_STOP = 200
#: Of an answer in a conversation, where nobody says how many.
_CHAT_TOKENS = 512
_TOKEN = Annotated[int, Field(ge=0, lt=1 << 31)]
_STOP = Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_STOP)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: str = Field(
        min_length=1,
        max_length=200,
        description="A registered model, or one version of it: NAME:7, NAME@challenger.",
    )


class StreamOptions(BaseModel):
    """What a stream tells beside the text."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    include_usage: bool = Field(False, description="A last event with the count of tokens.")
    include_obfuscation: bool | None = Field(None, description="Changes nothing.")


class Drawing(_Request, ABC):
    """How answers are drawn, whatever is asked."""

    temperature: float | None = Field(1.0, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(1.0, ge=0, le=1, allow_inf_nan=False)
    n: int | None = Field(1, ge=1, le=128, description="Answers to each prompt.")
    stop: _STOP | list[_STOP] | None = Field(None, description="An answer ends before any.")
    seed: int | None = Field(
        None,
        ge=-(1 << 63),
        lt=1 << 63,
        description="The same seed, version and request give the same answer.",
    )
    stream: bool | None = Field(False, description="Server-sent events.")
    stream_options: StreamOptions | None = None
    user: str | None = Field(None, max_length=1000, description="Changes nothing.")
    presence_penalty: float | None = Field(0, ge=0, le=0, description="Only 0.")
    frequency_penalty: float | None = Field(0, ge=0, le=0, description="Only 0.")
    logit_bias: dict[str, float] | None = Field(None, max_length=0, description="Only empty.")

    @model_validator(mode="after")
    def _drawable(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options: only where stream is true")
        if isinstance(self.stop, list) and len(self.stop) > 4:
            raise ValueError("stop: at most 4 texts")
        return self

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end an answer."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    @property
    def answers(self) -> int:
        """To each prompt."""
        return self.n or 1

    @property
    def tells_usage(self) -> bool:
        """Whether a stream ends with the count of tokens."""
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    @abstractmethod
    def most_tokens(self) -> int:
        """Of each answer."""

    @property
    @abstractmethod
    def likeliest(self) -> int | None:
        """Likeliest tokens to be told in the place of each; None: no log-probabilities at all."""

    @property
    def echoes(self) -> bool:
        """Whether the answer begins with the prompt."""
        return False


class CompletionRequest(Drawing):
    """Continue one prompt or several."""

    prompt: str | list[str] | list[_TOKEN] | list[list[_TOKEN]] | None = Field(
        None, description="Text, texts, or ids of tokens; null: a document from its beginning."
    )
    max_tokens: int | None = Field(16, ge=0, description="Tokens of each answer, at most.")
    best_of: int | None = Field(None, description="Only null or 1: nothing is drawn and discarded.")
    logprobs: int | None = Field(None, ge=0, le=5, description="Likeliest tokens to be told.")
    echo: bool | None = Field(False, description="Begin the answer with the prompt.")
    suffix: Literal[""] | None = Field(None, description="Only null.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.best_of not in (None, 1):
            raise ValueError("best_of: only 1; ask for n answers instead")
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
    def most_tokens(self) -> int:
        """Of each answer."""
        return 16 if self.max_tokens is None else self.max_tokens

    @property
    def likeliest(self) -> int | None:
        """Likeliest tokens to be told in the place of each."""
        return self.logprobs

    @property
    def echoes(self) -> bool:
        """Whether the answer begins with the prompt."""
        return bool(self.echo)


class TextPart(BaseModel):
    """A part of what was said."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """What one side said."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart] = Field(description="A text, or parts that are joined.")
    name: str | None = Field(None, max_length=200, description="Changes nothing.")

    @property
    def text(self) -> str:
        """What was said."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class ResponseFormat(BaseModel):
    """What an answer looks like."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    type: Literal["text"]


class ChatRequest(Drawing):
    """Answer a conversation."""

    messages: list[Message] = Field(min_length=1, max_length=1000)
    max_completion_tokens: int | None = Field(
        None, ge=1, description=f"Tokens of each answer, at most; null: {_CHAT_TOKENS}."
    )
    max_tokens: int | None = Field(None, ge=1, description="The older name of the same.")
    logprobs: bool | None = Field(False, description="Whether log-probabilities are told.")
    top_logprobs: int | None = Field(None, ge=0, le=20, description="Likeliest tokens to be told.")
    response_format: ResponseFormat | None = Field(None, description="Only text.")
    store: Literal[False] | None = Field(None, description="Only false.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs: only where logprobs is true")
        if None not in (self.max_tokens, self.max_completion_tokens):
            raise ValueError("max_tokens: say it or max_completion_tokens, not both")
        return self

    def said(self) -> list[dict[str, str]]:
        """Role and content of each message, as chat templates know them."""
        roles = {"developer": "system"}
        return [{"role": roles.get(m.role, m.role), "content": m.text} for m in self.messages]

    @property
    def size(self) -> int:
        """Characters of all messages."""
        return sum(len(message.text) for message in self.messages)

    @property
    def most_tokens(self) -> int:
        """Of each answer."""
        return self.max_completion_tokens or self.max_tokens or _CHAT_TOKENS

    @property
    def likeliest(self) -> int | None:
        """Likeliest tokens to be told in the place of each."""
        return (self.top_logprobs or 0) if self.logprobs else None


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
