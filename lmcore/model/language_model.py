"""The flagship: embeddings, then recurrent and attention blocks, then the next token.

In: token ids [B, T] and a state. Out: logits [B, T, V] and the state after them.
The same function trains (truncated back-propagation), scores and generates; the
state is explicit and of constant size. Every input token equal to the end token
starts a document from the fresh state (`lmcore.model.boundaries`), so a document is
scored as [end, t1..tn] -> [t1..tn, end], and generation starts from [end] + prompt.

`features` are what the distribution follows from: training and scoring ask for the likelihood of
the targets alone, which costs far less than all logits.

A pattern such as `LA` names one residual block a letter. If the first is an LSTM
it is the stem: it reads the embedding directly and has no residual path or MLP.
Norms are LayerNorms without bias: fused on the CPU, seven times as fast there as
RMSNorm.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from lmcore.artifacts import atomic_write
from lmcore.errors import ConfigError, IntegrityError
from lmcore.model.boundaries import find_boundaries
from lmcore.model.config import ModelConfig
from lmcore.model.head import default_cutoffs, expected, scores, target_nll
from lmcore.model.layers import MIXERS, Mixer, Mlp, locked_dropout
from lmcore.model.pointer import Copies, Pointer, mixed_nll, mixed_scores
from lmcore.model.state import LayerState, PointerState, State

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "model.json"
TIED_FROM = 1024
_UNTIED_EMBEDDING_DIM = 64


class Features(NamedTuple):
    """What the distribution of the next token follows from.

    Attributes:
        vectors: What the head reads, [B, T, e] tied or [B, T, d]; [B, e] of one position.
        copies: What may be copied; None without a pointer.
    """

    vectors: Tensor
    copies: Copies | None

    def last(self) -> Features:
        """Those of the last position."""
        return Features(self.vectors[:, -1], self.copies.last() if self.copies else None)


class RecurrentAttentionLM(nn.Module):
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

    @property
    def head_weight(self) -> Tensor:
        """Rows that score the tokens, [V, e] tied or [V, d]."""
        return self.embedding.weight if self.head is None else self.head.weight

    @property
    def num_parameters(self) -> int:
        """Trainable numbers, shared ones counted once."""
        return sum(parameter.numel() for parameter in self.parameters())

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
        device = self.embedding.weight.device
        parts = [*self._mixers(), *([self.pointer] if self.pointer is not None else [])]
        return State(layers=tuple(part.fresh_state(batch_size, device=device) for part in parts))

    def forward(
        self, tokens: Tensor, state: State | None = None, *, rng: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """Logits of the token after each input.

        Args:
            tokens: int64 [B, T].
            state: What was read before; None is the fresh state.
            rng: Source of dropout in training; None switches dropout off.

        Returns:
            Logits [B, T, V], and the state after the chunk.
        """
        features, after = self.features(tokens, state, rng=rng)
        return self.logits(features), after

    def features(
        self, tokens: Tensor, state: State | None = None, *, rng: torch.Generator | None = None
    ) -> tuple[Features, State]:
        """What the next tokens follow from, and the state after the chunk."""
        if state is None:
            state = self.fresh_state(tokens.shape[0]).without_places()
        boundaries = find_boundaries(tokens, end_id=self.end_id)
        embedded = self.embedding(tokens)
        x = self.widen(functional.layer_norm(embedded, embedded.shape[-1:]))
        x = locked_dropout(x, rate=self.dropout, rng=rng)
        after: list[LayerState] = []
        # The pointer's state stands behind those of the mixers.
        states = state.layers[: len(self.mixers)]
        for index, (mixer, before) in enumerate(zip(self._mixers(), states, strict=True)):
            block = index - self.has_stem
            stem = block < 0
            y, layer = mixer(x if stem else self.mixer_norms[block](x), before, boundaries)
            after.append(layer)
            y = locked_dropout(y, rate=self.dropout, rng=rng)
            if stem:
                x = y
                continue
            x = x + y
            y = self.mlps[block](self.mlp_norms[block](x))
            x = x + locked_dropout(y, rate=self.dropout, rng=rng)
        x = self.final_norm(x)
        copies = None
        if self.pointer is not None:
            places = state.layers[-1]
            assert isinstance(places, PointerState)
            copies, places = self.pointer(x, tokens, places, boundaries)
            after.append(places)
        vectors = locked_dropout(self.narrow(x), rate=self.dropout, rng=rng)
        return Features(vectors, copies), State(layers=tuple(after))

    def logits(self, features: Features) -> Tensor:
        """Scores of all tokens from features, [..., V]; their softmax is the distribution."""
        anew = scores(
            features.vectors,
            self.head_weight,
            classes=self.classes,
            cutoffs=self.cutoffs,
            bias=self.head_bias,
        )
        return anew if features.copies is None else mixed_scores(anew, features.copies)

    def target_nll(self, features: Features, targets: Tensor) -> Tensor:
        """Negative log-likelihood of targets [...] in nats, float32, from their features.

        With a large vocabulary this is far cheaper than going through `logits`.
        """
        nll = target_nll(
            features.vectors.flatten(0, -2),
            targets.reshape(-1),
            self.head_weight,
            classes=self.classes,
            cutoffs=self.cutoffs,
            bias=self.head_bias,
        ).view(targets.shape)
        return nll if features.copies is None else mixed_nll(nll, targets, features.copies)

    def _mixers(self) -> list[Mixer]:
        return [cast(Mixer, mixer) for mixer in self.mixers]


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, bias=False)


def save_model(model: RecurrentAttentionLM, folder: Path) -> None:
    """Write `model.safetensors` and `model.json` into an existing folder."""
    # A tied head has no tensor of its own, so nothing is stored twice.
    weights = {
        name: tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in model.state_dict().items()
    }
    save_file(weights, folder / WEIGHTS_FILE)
    record = {
        "schema_version": model.config.schema_version,
        "vocab_size": model.vocab_size,
        "end_id": model.end_id,
        "config": model.config.model_dump(mode="json"),
    }
    atomic_write(folder / CONFIG_FILE, json.dumps(record, indent=1))


class _WithoutInitialization(TorchFunctionMode):
    """Leave tensors as they are where a module would initialise them: weights follow from a file.

    On the meta device `normal_` would besides import the whole compiler, which takes a second.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if kwargs and "tensor" in kwargs else args[0]
        return func(*args, **(kwargs or {}))


def load_model(folder: Path, device: torch.device | str = "cpu") -> RecurrentAttentionLM:
    """Read a model that `save_model` wrote, in evaluation mode and float32.

    Raises:
        IntegrityError: If a file is missing or unreadable, or names and shapes do not fit.
    """
    path = folder / CONFIG_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        config = ModelConfig.model_validate(record["config"])
        with torch.device("meta"), _WithoutInitialization():
            model = RecurrentAttentionLM(config, int(record["vocab_size"]), int(record["end_id"]))
        path = folder / WEIGHTS_FILE
        weights = load_file(path, device=str(device))
        # Models were stored without a bias once; zeros are the same function.
        weights.setdefault("head_bias", torch.zeros(len(model.head_bias), device=device))
        model.load_state_dict(weights, strict=True, assign=True)
        if wrong := sorted(name for name, t in weights.items() if t.dtype != torch.float32):
            raise ValueError(f"{wrong[0]} is {weights[wrong[0]].dtype}; expected torch.float32")
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).replace("\n", " ")
        if isinstance(error, ValidationError):
            reason = "; ".join(f"{e['loc']}: {e['msg']}" for e in error.errors())
        raise IntegrityError(
            f"{path}: not a model that can be read ({type(error).__name__}: {reason[:300]});"
            " nothing was loaded. Restore the folder or train again"
        ) from error
    return model.requires_grad_(True).eval()
