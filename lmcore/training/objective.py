"""What a run minimises, seen by planning, probe and loop: the seam between them and the task.

The loop knows steps, rates, looks, resume points and recovery; an `Objective` knows batches, the
loss and how a look at the tune split is measured.  Both together stay a function of the step, so
whatever is trained through this seam resumes bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lmcore.data.tokens.batches import Batch, BatchOrder, evaluation_batches
from lmcore.data.tokens.token_stream import TokenStream
from lmcore.model.language_model import LanguageModel
from lmcore.training.distributed import ALONE, World
from lmcore.training.optimizer import make_optimizer, set_learning_rate
from lmcore.training.plan import Plan
from lmcore.training.step import TrainingLoss, bits_per_byte


class Objective(Protocol):
    """One kind of training.

    Attributes:
        num_outcomes: Among which a uniform guess would choose; tells what loss is a divergence.
        carries_state: Whether a step goes on from the state that the one before it left.
        look_key: Name of what a look at the tune split measures, lower is better; its unit is in
            the name.
    """

    @property
    def num_outcomes(self) -> int: ...  # noqa: D102
    @property
    def carries_state(self) -> bool: ...  # noqa: D102
    @property
    def look_key(self) -> str: ...  # noqa: D102

    def losses(self, model: nn.Module) -> nn.Module:
        """The loss as a module: inputs, targets -> sum, weight, state; see `TrainingLoss`."""
        ...

    def optimizer(self, model: nn.Module, *, weight_decay: float) -> torch.optim.AdamW:
        """The optimizer of a new run."""
        ...

    def set_rates(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        rate: float,
        share: float,
    ) -> None:
        """Prepare a step, before its gradient: the schedule says `rate`; what may learn, and how.

        `share` of the schedule lies behind it. Must depend on the arguments alone.
        """
        ...

    def batch(self, step: int, *, share: float) -> Batch:
        """What a step reads, when this share of the schedule lies behind."""
        ...

    def measure(self, model: nn.Module, batches: Iterable[Batch], *, world: World = ALONE) -> float:
        """What a look at these batches says; without gradients and dropout."""
        ...

    def look(self, plan: Plan) -> Iterable[Batch]:
        """The batches of a look at the tune split."""
        ...


class TokenLoss:
    """What objectives of a whole language model share: its loss by token, one rate for all."""

    def losses(self, model: nn.Module) -> nn.Module:
        """See `Objective`."""
        assert isinstance(model, LanguageModel)
        return TrainingLoss(model)

    def optimizer(self, model: nn.Module, *, weight_decay: float) -> torch.optim.AdamW:
        """See `Objective`."""
        return make_optimizer(model, weight_decay=weight_decay)

    def set_rates(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        rate: float,
        share: float,
    ) -> None:
        """One rate for all weights."""
        set_learning_rate(optimizer, rate)


@dataclass(frozen=True, kw_only=True)
class NextToken(TokenLoss):
    """Language modelling: predict each next token of a stream.

    Attributes:
        order: Batches of the train split.
        tune: The tune split.
        piece_bytes: UTF-8 bytes of each token, [V].
        carries_state: See `Objective`.
    """

    order: BatchOrder
    tune: TokenStream
    piece_bytes: npt.NDArray[np.int64]
    carries_state: bool = True
    look_key: str = "tune_bits_per_byte"

    @property
    def num_outcomes(self) -> int:
        """Tokens."""
        return len(self.piece_bytes)

    def batch(self, step: int, *, share: float) -> Batch:
        """See `Objective`."""
        return self.order.batch(step)

    def measure(self, model: nn.Module, batches: Iterable[Batch], *, world: World = ALONE) -> float:
        """Bits per byte of the documents, whatever the tokenizer made of them."""
        assert isinstance(model, LanguageModel)
        spelled = bits_per_byte(model, batches, piece_bytes=self.piece_bytes, world=world)
        return spelled / self.tune.bytes_per_spelled

    def look(self, plan: Plan) -> Iterable[Batch]:
        """See `Objective`."""
        batches = evaluation_batches(
            self.tune,
            max_tokens=plan.evaluation_tokens,
            batch_size=plan.batch_size,
            sequence_length=plan.sequence_length,
        )
        if self.carries_state:
            return batches
        # As a step reads them: windows that go on would cost several times as much.
        return (replace(batch, fresh=True) for batch in batches)
