"""The flagship: embeddings, then recurrent and attention blocks, then the next token.

The state is of constant size.  Every input token equal to the end token starts a document from the
fresh state (`lmcore.model.recurrent.boundaries`).

A pattern such as `LA` names one residual block a letter. If the first is an LSTM
it is the stem: it reads the embedding directly and has no residual path or MLP.
Norms are LayerNorms without bias: fused on the CPU, seven times as fast there as
RMSNorm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmcore.errors import ConfigError
from lmcore.model.config import ModelConfig
from lmcore.model.language_model import Features, LanguageModel, Reading
from lmcore.model.packed import PackedLinear, can_pack, pack
from lmcore.model.recurrent.attention_map import read_attention
from lmcore.model.recurrent.blocks import in_order, read, step
from lmcore.model.recurrent.boundaries import find_boundaries
from lmcore.model.recurrent.head import default_cutoffs, expected, scores, target_nll
from lmcore.model.recurrent.layers import MIXERS, LstmMixer, Mlp, Stepper, locked_dropout
from lmcore.model.recurrent.pointer import (
    CopyingFeatures,
    Pointer,
    copies_of,
    mixed_nll,
    mixed_scores,
)
from lmcore.model.recurrent.states import (
    AttentionState,
    LayerState,
    LayerStates,
    PointerRing,
    PointerState,
)
from lmcore.model.recurrent.transfer import copy_weights, shape_of
from lmcore.model.state import State

TIED_FROM = 1024
# A lane costs a state of constant size: short texts fill the chunks that few lanes would leave
# empty, and a step of 500 lanes takes hardly longer than one of 50.
# Cores that share a recurrence meet at each of its steps, so on a busy machine they would wait.
_READING = Reading(lanes=32, chunk_tokens=128, apart=True, short_lanes=256, written_lanes=512)
_UNTIED_EMBEDDING_DIM = 64


class RecurrentAttentionLM(LanguageModel):
    """Recurrent + attention language model.

    Args:
        config: Shape.
        vocab_size: V, the end token included.
        end_id: Token that starts and ends documents.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, end_id: int) -> None:
        super().__init__()
        if not 0 <= end_id < vocab_size:
            raise ValueError(f"end_id={end_id}; expected 0 <= end_id < vocab_size={vocab_size}")
        self.config, self.vocab_size, self.end_id = config, vocab_size, end_id
        self.dropout = config.dropout or 0.0
        tied = config.tie_embeddings
        self.tied = vocab_size >= TIED_FROM if tied is None else tied
        width = config.embedding_dim or (
            config.d_model if self.tied else min(_UNTIED_EMBEDDING_DIM, config.d_model)
        )
        self.embedding = nn.Embedding(vocab_size, width)
        nn.init.normal_(self.embedding.weight, std=0.02 if self.tied else 1.0)
        self.has_stem = config.pattern.startswith("L")
        self.widen = (
            nn.Identity()
            if self.has_stem or width == config.d_model
            else nn.Linear(width, config.d_model, bias=False)
        )
        first_width = width if self.has_stem else config.d_model
        self.mixers = nn.ModuleList(
            MIXERS[letter](first_width if index == 0 else config.d_model, config)
            for index, letter in enumerate(config.pattern)
        )
        residual = len(config.pattern) - self.has_stem
        self.mixer_norms = nn.ModuleList(_norm(config.d_model) for _ in range(residual))
        self.mlp_norms = nn.ModuleList(_norm(config.d_model) for _ in range(residual))
        self.mlps = nn.ModuleList(Mlp(config) for _ in range(residual))
        self._blocks = in_order(
            self.mixers, zip(self.mixer_norms, self.mlp_norms, self.mlps, strict=True)
        )
        self.final_norm = _norm(config.d_model)
        self.narrow = (
            nn.Linear(config.d_model, width, bias=False)
            if self.tied and width != config.d_model
            else nn.Identity()
        )
        self.head = None if self.tied else nn.Linear(config.d_model, vocab_size, bias=False)
        if self.head is not None:
            nn.init.zeros_(self.head.weight)
        self.cutoffs = default_cutoffs(vocab_size) if config.cutoffs is None else config.cutoffs
        if self.cutoffs and self.cutoffs[-1] >= vocab_size:
            raise ConfigError(
                f"model.cutoffs {list(self.cutoffs)} reach beyond the vocabulary of {vocab_size}"
                " tokens; lower them or leave them out"
            )
        self.classes = (
            nn.Parameter(torch.zeros(len(self.cutoffs), self.head_weight.shape[1]))
            if self.cutoffs
            else None
        )
        # Of the tokens and of the classes.
        self.head_bias = nn.Parameter(torch.zeros(vocab_size + len(self.cutoffs)))
        self.pointer = Pointer(config) if config.pointer else None
        self._steps = self.pointer is None and all(isinstance(m, Stepper) for m in self.mixers)
        self.packed_head: PackedLinear | None = None

    @property
    def head_weight(self) -> Tensor:
        """Rows that score the tokens, [V, e] tied or [V, d]."""
        return self.embedding.weight if self.head is None else self.head.weight

    @property
    def token_vectors(self) -> Tensor:
        """See `LanguageModel`."""
        return self.embedding.weight

    @property
    def feature_width(self) -> int:
        """See `LanguageModel`."""
        return self.head_weight.shape[1]

    @property
    def reading(self) -> Reading:
        """See `LanguageModel`."""
        return _READING

    @property
    def shape(self) -> ModelConfig:
        """See `LanguageModel`."""
        return shape_of(self)

    def take_over(self, source: LanguageModel) -> None:
        """See `LanguageModel`; at least the vocabulary of the source is needed."""
        if not isinstance(source, RecurrentAttentionLM):
            raise ConfigError(
                "the weights to start from are those of another kind of model; start from a model"
                " of the same shape"
            )
        copy_weights(source, self)

    def settle(self) -> None:
        """See `LanguageModel`: matrices are laid out for steps of few lanes."""
        self.requires_grad_(False)
        for mixer in self.mixers:
            if isinstance(mixer, LstmMixer):
                mixer.settle()
        if self.classes is None and can_pack(self.head_weight):
            self.packed_head = PackedLinear(self.head_weight, self.head_bias)
        plain = {
            name: (part.weight, part.bias)
            for name, part in self.named_modules()
            if type(part) is nn.Linear and part is not self.head
        }
        tokens = torch.tensor([[self.end_id]], device=self.device)
        pack(self, plain, answer=lambda: self.features(tokens)[0].vectors)

    def depths(self) -> list[list[nn.Parameter]]:
        """Each block, the embedding."""
        found = []
        above: list[nn.Module] = [self.final_norm, self.narrow]
        for index in reversed(range(len(self.mixers))):
            block = index - self.has_stem
            parts = [self.mixers[index], *above]
            if block >= 0:
                parts += [self.mixer_norms[block], self.mlp_norms[block], self.mlps[block]]
            found.append([parameter for part in parts for parameter in part.parameters()])
            above = []
        rest: list[nn.Module] = [self.embedding, self.widen]
        found.append([parameter for part in rest for parameter in part.parameters()])
        return found

    def record(self) -> Mapping[str, Any]:
        """See `LanguageModel`."""
        return {
            "schema_version": self.config.schema_version,
            "vocab_size": self.vocab_size,
            "end_id": self.end_id,
            "config": self.config.model_dump(mode="json"),
        }

    @torch.no_grad()
    def expect(self, counts: Tensor) -> None:
        """Begin with predicting each token as often as it occurs.

        Otherwise the first hundred steps learn nothing but that, and tokens that never occur
        (most single bytes) drag the features of all texts into one direction meanwhile:
        docs/experiments.md.

        Args:
            counts: Of each token in the training text, [V].
        """
        self.head_bias.copy_(expected(counts, self.cutoffs))

    def fresh_state(self, batch_size: int) -> State:
        """State before any text, for so many lanes."""
        return self._fresh(batch_size)

    def _fresh(self, batch_size: int) -> LayerStates:
        found: list[LayerState] = [
            block.mixer.fresh_state(batch_size, device=self.device) for block in self._blocks
        ]
        if self.pointer is not None:
            found.append(self.pointer.fresh_state(batch_size, device=self.device))
        return LayerStates(layers=tuple(found))

    def stepping(self, state: State) -> State:
        """See `LanguageModel`: places are overwritten where all were moved."""
        assert isinstance(state, LayerStates)
        found = [
            block.mixer.stepping(own)
            for block, own in zip(self._blocks, state.layers, strict=False)
        ]
        if self.pointer is not None:
            places = state.layers[-1]
            assert isinstance(places, PointerState)
            found.append(self.pointer.stepping(places))
        return LayerStates(layers=tuple(found))

    def features(
        self, tokens: Tensor, state: State | None = None, *, rng: torch.Generator | None = None
    ) -> tuple[Features, State]:
        """See `LanguageModel`."""
        if state is None:
            state = self._fresh(tokens.shape[0]).without_places()
        assert isinstance(state, LayerStates)
        if rng is None and self._can_step(tokens, state):
            return self._step(tokens, state)
        boundaries = find_boundaries(tokens, end_id=self.end_id)
        x = locked_dropout(self._read(tokens), rate=self.dropout, rng=rng)
        # The pointer's state stands behind those of the mixers.
        states = state.layers[: len(self._blocks)]
        x, after = read(self._blocks, x, states, boundaries, rate=self.dropout, rng=rng)
        x = self.final_norm(x)
        copies = None
        if self.pointer is not None:
            places = state.layers[-1]
            assert isinstance(places, PointerState | PointerRing)
            copies, places = self.pointer(x, tokens, places, boundaries)
            after.append(places)
        vectors = locked_dropout(self.narrow(x), rate=self.dropout, rng=rng)
        return CopyingFeatures(vectors, copies), LayerStates(layers=tuple(after))

    def _read(self, tokens: Tensor) -> Tensor:
        """What the first mixer reads of tokens, [..., in]."""
        embedded = self.embedding(tokens)
        x: Tensor = self.widen(functional.layer_norm(embedded, embedded.shape[-1:]))
        return x

    def _can_step(self, tokens: Tensor, state: LayerStates) -> bool:
        """Whether it is one token in each lane, and starts no document, for `_step`.

        On a CPU alone: elsewhere a look at the tokens would wait for the device.
        """
        return (
            tokens.shape[1] == 1
            and not torch.is_grad_enabled()
            and self._steps
            and tokens.device.type == "cpu"
            and not any(isinstance(layer, AttentionState) for layer in state.layers)
            and not bool((tokens == self.end_id).any())
        )

    def _step(self, tokens: Tensor, state: LayerStates) -> tuple[Features, State]:
        """One token in each lane: the same, to the last bit, in a third of the operations."""
        x, after = step(self._blocks, self._read(tokens[:, 0]), state.layers)
        vectors = self.narrow(self.final_norm(x))
        return CopyingFeatures(vectors[:, None], None), LayerStates(layers=tuple(after))

    def logits(self, features: Features) -> Tensor:
        """See `LanguageModel`."""
        copies = copies_of(features)
        if self.packed_head is not None:
            anew = self.packed_head(features.vectors)
        else:
            anew = scores(
                features.vectors,
                self.head_weight,
                classes=self.classes,
                cutoffs=self.cutoffs,
                bias=self.head_bias,
            )
        return anew if copies is None else mixed_scores(anew, copies)

    def target_nll(self, features: Features, targets: Tensor) -> Tensor:
        """See `LanguageModel`."""
        copies = copies_of(features)
        nll = target_nll(
            features.vectors.flatten(0, -2),
            targets.reshape(-1),
            self.head_weight,
            classes=self.classes,
            cutoffs=self.cutoffs,
            bias=self.head_bias,
        ).view(targets.shape)
        return nll if copies is None else mixed_nll(nll, targets, copies)

    def attention_weights(self, tokens: Tensor) -> list[Tensor]:
        """See `LanguageModel`."""
        return read_attention(self, tokens)


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, bias=False)
