"""Shape of the language model, or the model to start from: validated, versioned, stored as JSON."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from lmcore.settings import Section

Pooling = Literal["wide", "standard"]
Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]

LETTERS = {
    "L": "LSTM",
    "R": "gated linear recurrence",
    "A": "sliding-window causal attention",
}


# Locked dropout of a task, where none is configured: a narrow model learns nothing through more.
_TASK_DROPOUT, _NARROW_TASK_DROPOUT, _NARROW = 0.2, 0.1, 128
# The default learning rate of random weights.
_RANDOM_RATE = 4e-3
# Of a large model in a step of a task: its layers keep some two megabytes a token for the gradient.
_TASK_TOKENS = 512


@dataclass(frozen=True, kw_only=True)
class TaskHabits:
    """How a model of some shape is made to learn a task.

    Attributes:
        dropout: Rate in training.
        adaptation_share: Share of a classifier's training in which the language model reads the
            task's own text first, where none is configured.
        trained_rate: Factor of a learning rate that is meant for random weights, where weights
            have learnt before.
        by_depth: Whether layers that have learnt before are freed one by one from the top, each
            slower than the one above it.
        head_rate: Factor of the learning rate for what is new on top of such a model.
        grows: Whether it can be given a token more than its tokenizer has.
        pooling: What a classifier reads of a text's states (`lmcore.tasks.learning.pooling`).
        tokens_at_once: Tokens whose gradient is found at once, padding included; 0: all of a step.
    """

    dropout: float
    adaptation_share: float
    trained_rate: float
    by_depth: bool
    head_rate: float
    grows: bool
    pooling: Pooling
    tokens_at_once: int = 0


class ModelConfig(Section):
    """One letter of `pattern` is one residual block; the letter names its mixer."""

    schema_version: Literal[1] = 1
    """Form of this section as a version stores it; there is one, so leave it out."""
    pattern: str = Field(
        "LA",
        max_length=64,
        description="One letter is one residual block, from the text upwards. L: LSTM, R: gated"
        " linear recurrence, A: sliding-window causal attention. LA learns most in minutes on a"
        " CPU; more blocks need more time.",
    )
    d_model: int = Field(
        256,
        ge=8,
        le=8192,
        description="Width of the residual stream, in numbers a token. Weights and time grow with"
        " its square: 128 for little text, 512 for an hour on a CPU.",
    )
    embedding_dim: int | None = Field(
        None,
        ge=4,
        le=8192,
        description="Width of a token's embedding, in numbers; null: that of d_model where"
        " embeddings are tied, else at most 64, as small vocabularies need no more.",
    )
    num_heads: int = Field(
        2, ge=1, le=256, description="Heads of each attention (`A`), each with its own weights."
    )
    head_dim: int = Field(
        64,
        ge=4,
        le=256,
        multiple_of=2,
        description="Width of one head of attention, in numbers; even, for rotary positions.",
    )
    window: int = Field(
        128,
        ge=1,
        le=1 << 16,
        description="Earlier tokens that each attention looks back on. What lies further back is"
        " carried by L and R, so memory for generation stays constant.",
    )
    mlp_multiple: int = Field(
        2,
        ge=1,
        le=8,
        description="Hidden width of the MLP of each block, as a multiple of d_model.",
    )
    tie_embeddings: bool | None = Field(
        None,
        description="Whether reading and predicting a token share their weights; null: from 1,024"
        " tokens up, where that saves much and costs nothing.",
    )
    cutoffs: tuple[int, ...] | None = Field(
        None,
        max_length=16,
        description="First token ids of the classes of a two-level softmax, ascending; empty is"
        " one softmax. null: two levels from 20,000 tokens up, where they are faster.",
    )
    pointer: bool = Field(
        False,
        description="Whether a token may also be copied from the last `window` tokens of the"
        " document; pays where names return, as in summaries.",
    )
    dropout: Dropout | None = Field(
        None,
        description="Share of activations that is dropped in training, the same ones at all tokens"
        " of a step; null: from 0 for text that is read once up to 0.3 for text that is read"
        " often.",
    )

    @property
    def training_defaults(self) -> Mapping[str, Any]:
        """Keys of the section `training` whose defaults suit this model better than its own."""
        return {}

    @property
    def task_training_defaults(self) -> Mapping[str, Any]:
        """The same for a task."""
        return {}

    @property
    def carries_state(self) -> bool:
        """Whether a training step goes on from the state that the one before it left."""
        return True

    @property
    def habits(self) -> TaskHabits:
        """How it learns a task: bent and not broken, as its rate is that of random weights."""
        narrow = self.d_model < _NARROW
        dropout = _NARROW_TASK_DROPOUT if narrow else _TASK_DROPOUT
        return TaskHabits(
            dropout=dropout if self.dropout is None else self.dropout,
            adaptation_share=0.4,
            trained_rate=0.25,
            by_depth=True,
            head_rate=1.0,
            grows=True,
            pooling="wide",
        )

    def with_dropout(self, dropout: float | None) -> Self:
        """The same shape with another dropout, which has no weights."""
        return self.model_copy(update={"dropout": dropout})

    def over_pairs(self, tokens: int, *, copies: bool) -> Self:
        """The same shape, made to write a text behind another one.

        Args:
            tokens: That attention must reach over; no weight depends on it.
            copies: Whether it may copy tokens of the first text.
        """
        return self.model_copy(
            update={"window": max(self.window, tokens), "pointer": self.pointer or copies}
        )

    @model_validator(mode="before")
    @classmethod
    def _of_this_kind(cls, given: object) -> object:
        if foreign := _foreign(given, own=cls, other=PretrainedConfig):
            raise ValueError(
                f"{foreign} is for a model that exists; name one as pretrained, or leave it out"
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
    """Form of this section as a version stores it; there is one, so leave it out."""
    pretrained: str = Field(
        min_length=1,
        description="Model that exists, to go on from: a folder in the Hugging Face layout, a GGUF"
        " file, `package:NAME` of an installed package that carries one, or a hub id with a pinned"
        " revision (`owner/name@REVISION`). A path is relative to the config file.",
    )
    adapt: Literal["lora", "full"] = Field(
        "lora",
        description="What learns: small matrices beside those of the model (lora), which a laptop"
        " can do, or all weights (full), which wants a GPU.",
    )
    rank: int = Field(
        16,
        ge=1,
        le=1024,
        description="Rank of the small matrices of lora; more can learn more, and takes more"
        " memory.",
    )
    context: int = Field(
        1024,
        ge=16,
        le=1 << 17,
        description="Most tokens that are read together; longer documents are read in windows that"
        " overlap by a quarter of it. At most what the model was made for; less saves memory.",
    )
    end_token: str | None = Field(
        None,
        description="Token that starts and ends documents, as the model writes it; null: the"
        " model's own end of text.",
    )
    known_until: date | None = Field(
        None,
        description="Last day of the text that the model has read; held-out documents that are"
        " later are judged apart, as it cannot have read them. null: not known.",
    )
    license: str = Field(
        "unknown",
        description="Licence of the model as an SPDX expression, which the gate provenance asks"
        " for; unknown: what the model's own description says.",
    )
    origin: str = Field(
        "", description="Where the model came from, in words; shown in cards and reports."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_this_kind(cls, given: object) -> object:
        if foreign := _foreign(given, own=cls, other=ModelConfig):
            raise ValueError(
                f"{foreign} is for a model from random weights, and pretrained names one that"
                " exists; leave out one of the two"
            )
        return given

    @property
    def dropout(self) -> float:
        """None is dropped: little of it learns."""
        return 0.0

    @property
    def training_defaults(self) -> Mapping[str, Any]:
        """See `ModelConfig`; weights that have learnt already want small steps.

        Nothing decays: the rule for random weights would draw finished ones to zero.  One lane of
        lora learns as much from as many tokens as two do, and needs two thirds of their memory.
        """
        return {
            "batch_size": 1 if self.adapt == "lora" else 2,
            "sequence_length": min(512, self.context),
            "learning_rate": 1e-3 if self.adapt == "lora" else 3e-5,
            "warmup_steps": 20,
            "weight_decay": 0.0,
            "evaluations": 4,
            "checkpoint_seconds": 120.0,
        }

    @property
    def task_training_defaults(self) -> Mapping[str, Any]:
        """The same for a task, whose lanes are examples: fewer tokens a step, so smaller steps."""
        return {
            **self.training_defaults,
            "learning_rate": min(3e-4, self.training_defaults["learning_rate"]),
            "batch_size": 16,
            "sequence_length": min(64, self.context),
        }

    @property
    def carries_state(self) -> bool:
        """A training step does not go on from the state of the one before: it reads a window."""
        return False

    @property
    def habits(self) -> TaskHabits:
        """How it learns a task: it knows the language, and its rate is meant for what it knows."""
        return TaskHabits(
            dropout=self.dropout,
            adaptation_share=0.0,
            trained_rate=self.task_training_defaults["learning_rate"] / _RANDOM_RATE,
            by_depth=False,
            head_rate=10.0,
            grows=False,
            pooling="standard",
            tokens_at_once=_TASK_TOKENS,
        )

    def with_dropout(self, dropout: float | None) -> Self:
        """The same: it has none."""
        return self

    def over_pairs(self, tokens: int, *, copies: bool) -> Self:
        """The same: it sees all of a window, and copies by itself."""
        return self


def _foreign(given: object, *, own: type[Section], other: type[Section]) -> str | None:
    """The first key that only the other kind of model has; None where there is none."""
    if not isinstance(given, Mapping):
        return None
    return min((set(other.model_fields) - set(own.model_fields)) & set(given), default=None)


def _kind_of_model(value: object) -> str:
    given = value if isinstance(value, Mapping) else getattr(value, "__dict__", {})
    return "pretrained" if "pretrained" in given else "scratch"


#: The section `model`: random weights in a shape, or a model to start from.
AnyModelConfig: TypeAlias = Annotated[
    Annotated[ModelConfig, Tag("scratch")] | Annotated[PretrainedConfig, Tag("pretrained")],
    Discriminator(_kind_of_model),
]
