"""What a language model is to all who use one, whichever kind it is.

In: token ids [B, T] and a state. Out: what the distribution of the next token follows from, and the
state after them. The same function trains, scores and generates; the state is explicit and bounded.
Every input token equal to the end token starts a document: whatever came before it must not reach
what comes after.  So a document is scored as [end, t1..tn] -> [t1..tn, end], and generation starts
from [end] + prompt.

`features` are what the distribution follows from: training and scoring ask for the likelihood of
the targets alone, which costs far less than all logits.

Nothing but `lmcore.model.factory` asks which kind a model is of.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import torch
from torch import Tensor, nn

from lmcore.model.config import AnyModelConfig
from lmcore.model.state import State

#: Files of a stored model.
WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "model.json"


@dataclass(frozen=True)
class Features:
    """What the distribution of the next token follows from.

    Attributes:
        vectors: What the head reads, [B, T, e]; [B, e] of one position.
    """

    vectors: Tensor

    def last(self) -> Features:
        """Those of the last position."""
        return Features(self.vectors[:, -1])

    def at(self, start: int, stop: int) -> Features:
        """Those of the positions [start, stop)."""
        return Features(self.vectors[:, start:stop])

    def repeated(self, count: int) -> Features:
        """Those of a single lane in so many lanes, so that as many targets can be asked of each."""
        return Features(self.vectors.expand(count, *self.vectors.shape[1:]))


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a model is best fed when it scores and when it writes: enough to be fast, no more.

    Attributes:
        lanes: Documents side by side.
        chunk_tokens: Tokens of a lane at once.
        short_lanes: Texts of a few dozen tokens side by side; 0: as `lanes`.
        written_lanes: Texts that it writes side by side; 0: as `lanes`.
        tokens_at_once: Tokens of whole texts side by side, padding included, where a lane costs
            what it is long; 0: lanes alone count.
        apart: Each core reads and writes lanes of its own, side by side in threads; otherwise all
            share each product.
    """

    lanes: int = 32
    chunk_tokens: int = 128
    apart: bool = False
    short_lanes: int = 0
    written_lanes: int = 0
    tokens_at_once: int = 0

    @property
    def short(self) -> int:
        """Short texts to be scored side by side."""
        return self.short_lanes or self.lanes

    @property
    def written(self) -> int:
        """Texts to be written side by side."""
        return self.written_lanes or self.lanes


class LanguageModel(nn.Module, ABC):
    """A causal language model over one vocabulary.

    Attributes:
        vocab_size: V, the end token included.
        end_id: Token that starts and ends documents.
        dropout: Rate in training; 0 where there is none.
    """

    vocab_size: int
    end_id: int
    dropout: float

    # -- what it is ----------------------------------------------------------------------------

    @property
    @abstractmethod
    def token_vectors(self) -> Tensor:
        """Input embedding of each token, [V, e]."""

    @property
    @abstractmethod
    def feature_width(self) -> int:
        """Width of `Features.vectors`."""

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.token_vectors.device

    @property
    def num_parameters(self) -> int:
        """Numbers that it consists of, shared ones counted once."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def reading(self) -> Reading:
        """How it is best fed."""
        return Reading()

    @property
    def rows_apart(self) -> bool:
        """Whether one token in each of many lanes is read as it would be in a lane alone.

        To the last bit, but for what the number of lanes changes in a product of matrices.
        """
        return True

    @property
    def lent(self) -> frozenset[str]:
        """Names of weights that belong to another model: they never learn and are not stored."""
        return frozenset()

    @property
    @abstractmethod
    def shape(self) -> AnyModelConfig:
        """Its configuration with all that a size of vocabulary would decide written out."""

    @abstractmethod
    def take_over(self, source: LanguageModel) -> None:
        """Begin with the weights of another model of this shape.

        Raises:
            ConfigError: If their shapes do not fit.
        """

    def settle(self) -> None:
        """Become as fast as can be at answering: nothing learns any more, and nothing is stored.

        What it says differs in rounding alone.
        """

    @property
    def began_with(self) -> str | None:
        """Hash of the model that it began with and of how that is read; None: random weights."""
        return None

    @property
    def known_until(self) -> date | None:
        """Last day of the text that the model it began with has read; None: not known, or none."""
        return None

    @abstractmethod
    def depths(self) -> list[list[nn.Parameter]]:
        """What can learn, by layers from the top down."""

    @abstractmethod
    def record(self) -> Mapping[str, Any]:
        """What `CONFIG_FILE` says of it, as JSON values."""

    # -- what it does --------------------------------------------------------------------------

    @abstractmethod
    def expect(self, counts: Tensor) -> None:
        """Begin with predicting each token as often as it occurs; nothing where it learnt before.

        Args:
            counts: Of each token in the training text, [V].
        """

    @abstractmethod
    def fresh_state(self, batch_size: int) -> State:
        """State before any text, for so many lanes."""

    def stepping(self, state: State) -> State:
        """The same state for reading one token at a time, without gradient.

        What is read from it is used up: the model may write the token into it.  Copy what is to be
        read from twice (`State.select`).
        """
        return state

    @abstractmethod
    def features(
        self, tokens: Tensor, state: State | None = None, *, rng: torch.Generator | None = None
    ) -> tuple[Features, State]:
        """What the next tokens follow from, and the state after the chunk.

        Args:
            tokens: int64 [B, T].
            state: What was read before; None is the fresh state.
            rng: Source of dropout in training; None switches dropout off.
        """

    def converse(self, tokens: Tensor, state: State | None = None) -> tuple[Features, State]:
        """As `features`, of tokens that are one text whatever they are.

        An end token among them ends a turn and starts no document.  A model that knows no turns
        reads them as it reads all else.
        """
        return self.features(tokens, state)

    @abstractmethod
    def logits(self, features: Features) -> Tensor:
        """Scores of all tokens from features, [..., V]; their softmax is the distribution."""

    @abstractmethod
    def target_nll(self, features: Features, targets: Tensor) -> Tensor:
        """Negative log-likelihood of targets [...] in nats, float32, from their features.

        With a large vocabulary this is far cheaper than going through `logits`.
        """

    def embedded(self, tokens: Tensor) -> Tensor:
        """Input embeddings of tokens, [..., e]."""
        return nn.functional.embedding(tokens, self.token_vectors)

    def forward(
        self, tokens: Tensor, state: State | None = None, *, rng: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """Logits of the token after each input, [B, T, V], and the state after the chunk."""
        features, after = self.features(tokens, state, rng=rng)
        return self.logits(features), after

    @abstractmethod
    def attention_weights(self, tokens: Tensor) -> list[Tensor]:
        """What each attention layer reads, from the bottom up.

        Where an attention layer reads from is part of how the model works, and not a proof of why
        it answers as it does: other weights can give the same answer (Jain and Wallace 2019,
        arXiv:1902.10186).

        Args:
            tokens: int64 [B, T], read from the fresh state.

        Returns:
            Shares [B, H, T, T] of each layer; none for a model without attention.
        """


def learnt(module: nn.Module) -> dict[str, Tensor]:
    """Weights by name, without those that are lent: what a training changes and what is stored."""
    given = _lent(module)
    return {name: tensor for name, tensor in module.state_dict().items() if name not in given}


def restore(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `learnt` took out.

    Raises:
        RuntimeError: If names or shapes do not fit.
    """
    found = module.load_state_dict(dict(tensors), strict=False)
    missing = sorted(set(found.missing_keys) - _lent(module))
    if missing or found.unexpected_keys:
        name = (missing or found.unexpected_keys)[0]
        what = "has no" if missing else "holds the unknown"
        raise RuntimeError(f"what is stored {what} {name}")


def _lent(module: nn.Module) -> frozenset[str]:
    return frozenset(
        f"{prefix}.{name}" if prefix else name
        for prefix, part in module.named_modules()
        if isinstance(part, LanguageModel)
        for name in part.lent
    )
