"""Shape of the language model: validated, versioned, stored as JSON beside the weights."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lmcore.settings import Section

Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]


class ModelConfig(Section):
    """One letter of `pattern` is one residual block; the letter names its mixer."""

    schema_version: Literal[1] = 1
    pattern: str = Field("LA", description="L: LSTM, A: sliding-window causal attention.")
    d_model: int = Field(256, ge=8, le=8192)
    embedding_dim: int | None = Field(None, ge=4, description="null: chosen from the vocabulary.")
    head_dim: int = Field(64, ge=4, le=256)
    window: int = Field(128, ge=1, description="Tokens that attention looks back on.")
    mlp_multiple: int = Field(2, ge=1, le=8)
    tie_embeddings: bool | None = Field(None, description="null: tied from 1,024 tokens up.")
    dropout: Dropout = 0.0

    @model_validator(mode="after")
    def _known_letters(self) -> Self:
        unknown = sorted(set(self.pattern) - set("LA"))
        if unknown or not self.pattern:
            raise ValueError(
                f"pattern {self.pattern!r} has the unknown letters {unknown}; expected L and A"
            )
        if self.d_model % self.head_dim and "A" in self.pattern:
            raise ValueError(
                f"d_model {self.d_model} is not a multiple of head_dim {self.head_dim}"
            )
        return self
