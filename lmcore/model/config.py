"""Shape of the language model, or the model to start from: validated, versioned, stored as JSON."""

import itertools
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from lmcore.settings import Section

Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]

LETTERS = {
    "L": "LSTM",
    "R": "gated linear recurrence",
    "A": "sliding-window causal attention",
}


class ModelConfig(Section):
    """One letter of `pattern` is one residual block; the letter names its mixer."""

    schema_version: Literal[1] = 1
    pattern: str = Field(
        "LA",
        max_length=64,
        description="L: LSTM, R: gated linear recurrence, A: sliding-window causal attention.",
    )
    d_model: int = Field(256, ge=8, le=8192, description="Width of the residual stream.")
    embedding_dim: int | None = Field(
        None, ge=4, le=8192, description="null: chosen from the vocabulary and d_model."
    )
    num_heads: int = Field(2, ge=1, le=256, description="Heads of each attention.")
    head_dim: int = Field(64, ge=4, le=256, multiple_of=2, description="Width of one head.")
    window: int = Field(
        128, ge=1, le=1 << 16, description="Earlier tokens that attention looks back on."
    )
    mlp_multiple: int = Field(2, ge=1, le=8, description="Hidden width of the MLP over d_model.")
    tie_embeddings: bool | None = Field(None, description="null: tied from 1,024 tokens up.")
    cutoffs: tuple[int, ...] | None = Field(
        None,
        max_length=16,
        description="Two-level softmax: first token ids of its classes; empty is one softmax,"
        " null chooses by the vocabulary.",
    )
    pointer: bool = Field(
        False,
        description="Beside predicting a token, copy one of the last `window` of the document.",
    )
    dropout: Dropout | None = Field(
        None, description="Locked dropout; null: chosen from the epochs that will be seen."
    )

    @property
    def training_defaults(self) -> Mapping[str, Any]:
        """Keys of the section `training` whose defaults suit this model better than its own."""
        return {}

    @property
    def carries_state(self) -> bool:
        """Whether a training step goes on from the state that the one before it left."""
        return True

    @model_validator(mode="before")
    @classmethod
    def _of_this_kind(cls, given: object) -> object:
        if isinstance(given, Mapping):
            known = set(PretrainedConfig.model_fields) - set(cls.model_fields)
            if foreign := sorted(known & set(given)):
                raise ValueError(
                    f"{foreign[0]} is for a model that exists; name one as pretrained, or leave it"
                    " out"
                )
        return given

    @model_validator(mode="after")
    def _known_letters(self) -> Self:
        unknown = sorted(set(self.pattern) - set(LETTERS))
        if unknown or not self.pattern:
            expected = ", ".join(f"{letter} ({name})" for letter, name in LETTERS.items())
            raise ValueError(
                f"pattern {self.pattern!r} has the unknown letters {unknown}; expected {expected}"
            )
        return self

    @model_validator(mode="after")
    def _ascending_cutoffs(self) -> Self:
        bounds = (0, *(self.cutoffs or ()))
        if any(stop <= start for start, stop in itertools.pairwise(bounds)):
            raise ValueError(f"cutoffs {list(bounds[1:])} must be above 0 and ascend")
        return self


class PretrainedConfig(Section):
    """A model that exists and is gone on from: `model: {pretrained: FOLDER}`."""

    schema_version: Literal[1] = 1
    pretrained: str = Field(
        min_length=1,
        description="Folder in the Hugging Face layout, GGUF file, `package:NAME` of an installed"
        " package that carries one, or hub id with a pinned revision (`owner/name@REVISION`);"
        " relative to the config file.",
    )
    adapt: Literal["lora", "full"] = Field(
        "lora", description="What learns: small matrices beside those of the model, or all weights."
    )
    rank: int = Field(16, ge=1, le=1024, description="Of the small matrices of lora.")
    context: int = Field(
        1024,
        ge=16,
        le=1 << 17,
        description="Most tokens that are read together; longer documents are read in windows that"
        " overlap by a quarter of it.",
    )
    end_token: str | None = Field(
        None, description="Token that starts and ends documents; null: the model's own end of text."
    )
    known_until: date | None = Field(
        None, description="Last day of the text that the model has read; null: not known."
    )
    license: str = Field("unknown", description="SPDX licence expression of the model.")
    origin: str = Field("", description="Where the model came from, in words.")

    @model_validator(mode="before")
    @classmethod
    def _of_this_kind(cls, given: object) -> object:
        if isinstance(given, Mapping):
            known = set(ModelConfig.model_fields) - set(cls.model_fields)
            if foreign := sorted(known & set(given)):
                raise ValueError(
                    f"{foreign[0]} is for a model from random weights, and pretrained names one"
                    " that exists; leave out one of the two"
                )
        return given

    @property
    def dropout(self) -> float:
        """None is dropped: little of it learns."""
        return 0.0

    @property
    def training_defaults(self) -> Mapping[str, Any]:
        """See `ModelConfig`; weights that have learnt already want small steps.

        Nothing decays: the rule for random weights would draw finished ones to zero.
        """
        return {
            "batch_size": 2,
            "sequence_length": min(512, self.context),
            "learning_rate": 3e-4 if self.adapt == "lora" else 3e-5,
            "warmup_steps": 20,
            "weight_decay": 0.0,
            "evaluations": 4,
            "checkpoint_seconds": 120.0,
        }

    @property
    def carries_state(self) -> bool:
        """A training step does not go on from the state of the one before: it reads a window."""
        return False


def _kind_of_model(value: object) -> str:
    given = value if isinstance(value, Mapping) else getattr(value, "__dict__", {})
    return "pretrained" if "pretrained" in given else "scratch"


#: The section `model`: random weights in a shape, or a model to start from.
AnyModelConfig: TypeAlias = Annotated[
    Annotated[ModelConfig, Tag("scratch")] | Annotated[PretrainedConfig, Tag("pretrained")],
    Discriminator(_kind_of_model),
]
