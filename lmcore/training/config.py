"""How long, how fast and how carefully to train."""

from typing import Literal, Self

from pydantic import Field, model_validator

from lmcore.settings import Section

Precision = Literal["float32", "bfloat16"]
Origin = Literal["scratch", "champion"]
# Settings that say how a model is made and change no bit of it: no part of any key.
HOW_IT_IS_RUN = frozenset({"launcher", "timeout_seconds"})


class TrainingConfig(Section):
    """Exactly one of `budget_seconds`, `max_steps`, `max_epochs` bounds the training."""

    seed: int = Field(0, ge=0, lt=1 << 32)
    start: Origin = Field(
        "scratch",
        description="champion: go on from the weights of the model in use, where that is sound; its"
        " tokenizer is kept and the learning rate stays at its peak for half of the steps.",
    )
    budget_seconds: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Wall clock; turned once into a recorded step count.",
    )
    max_steps: int | None = Field(None, gt=0)
    max_epochs: float | None = Field(None, gt=0, allow_inf_nan=False)
    batch_size: int = Field(32, ge=1, le=1 << 16, description="Lanes read in parallel.")
    sequence_length: int = Field(64, ge=2, le=1 << 16, description="Tokens of one truncated step.")
    learning_rate: float = Field(4e-3, gt=0, le=10.0, description="Peak of the schedule.")
    warmup_steps: int = Field(50, ge=0, description="At most a tenth of all steps is used.")
    weight_decay: float | None = Field(
        None,
        ge=0,
        le=10.0,
        description="On matrices only; null: chosen from the steps and epochs, up to 1.",
    )
    gradient_clip: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="Largest gradient norm."
    )
    evaluations: int = Field(8, ge=1, description="Looks at the tune split during training.")
    patience: int = Field(5, ge=1, description="Looks without gain before an early stop.")
    checkpoint_seconds: float = Field(
        15.0, gt=0, allow_inf_nan=False, description="Time between resume points, about."
    )
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    launcher: Literal["local", "torchrun"] = Field(
        "local", description="torchrun: in processes of its own."
    )
    processes: int = Field(
        1, ge=1, le=1024, description="Share the lanes; more than one needs torchrun."
    )
    timeout_seconds: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="torchrun: end the processes after so long; null: never.",
    )

    @model_validator(mode="before")
    @classmethod
    def _default_budget(cls, data: object) -> object:
        bounds = ("budget_seconds", "max_steps", "max_epochs")
        if isinstance(data, dict) and not any(data.get(name) is not None for name in bounds):
            return {**data, "budget_seconds": 120.0}
        return data

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        bounds = ("budget_seconds", "max_steps", "max_epochs")
        given = [name for name in bounds if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected only one of {', '.join(bounds)}; found {', '.join(given)}")
        return self

    @model_validator(mode="after")
    def _launchable(self) -> Self:
        if self.launcher == "local":
            for name in ("processes", "timeout_seconds"):
                value = getattr(self, name)
                if value != type(self).model_fields[name].default:
                    raise ValueError(
                        f"{name}={value} needs training.launcher: torchrun; found local"
                    )
        if self.batch_size % self.processes:
            raise ValueError(
                f"batch_size={self.batch_size} lanes cannot be shared by"
                f" processes={self.processes}; expected a multiple"
            )
        return self
