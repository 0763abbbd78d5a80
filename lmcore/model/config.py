"""Shape of the language model: validated, versioned, stored as JSON beside the weights."""

import itertools
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

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
