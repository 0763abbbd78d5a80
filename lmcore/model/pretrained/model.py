"""A language model that begins with one that exists: any decoder of the `transformers` library.

What learns is small matrices beside its own (LoRA), or all of it.  Its weights are in float32; it
is never in the library's training mode, whose dropout would follow no seed of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import torch
from torch import Tensor, nn

from lmcore.digests import digest
from lmcore.errors import ConfigError
from lmcore.model.config import PretrainedConfig
from lmcore.model.language_model import Features, LanguageModel, Reading, learnt, restore
from lmcore.model.packed import pack
from lmcore.model.pretrained.attention import ROWS_APART
from lmcore.model.pretrained.base import Base
from lmcore.model.pretrained.body import Body
from lmcore.model.pretrained.cache import CacheState
from lmcore.model.pretrained.head import target_nll
from lmcore.model.pretrained.library import blocks, head_of, load_inner
from lmcore.model.pretrained.lora import add_lora, fold_lora, matrices
from lmcore.model.pretrained.windows import cut
from lmcore.model.state import State

# Tokens that are read at once: on a CPU so many keep its cores busy, a GPU wants more.
_TOKENS_AT_ONCE = {"cpu": 2048, "cuda": 16_384}
_CHUNK = 512
# A step costs reading all weights, however many lanes there are: SmolLM2-135M writes 42 tokens a
# second in 4 lanes on two cores, and 250 in 32.
_WRITTEN_LANES = {"cpu": 32, "cuda": 256}
KIND = "pretrained"
# The id of no token.
_NONE = -1
# Tokens that tell whether a model says the same as before.
_TRIED = 8


class PretrainedLM(LanguageModel):
    """A model of the library as a `LanguageModel`.

    Args:
        config: What learns, and how long windows are.
        base: The imported model.
        vocab_size: Rows of its embedding.
        end_id: Token that starts and ends documents.
        seed: Of the matrices beside its own.

    Raises:
        ConfigError: If the extra is missing, or nothing of the model can learn as asked for.
        IntegrityError: If the base cannot be read.
    """

    def __init__(
        self, config: PretrainedConfig, base: Base, *, vocab_size: int, end_id: int, seed: int = 0
    ) -> None:
        super().__init__()
        record = base.record()
        self.config, self.base = config, base
        self.vocab_size, self.end_id, self.dropout = vocab_size, end_id, 0.0
        self.context = min(config.context, record.most_tokens or config.context)
        inner: Any = load_inner(base.path)
        rows = inner.get_input_embeddings().weight.shape[0]
        if rows != vocab_size or not 0 <= end_id < vocab_size:
            raise ConfigError(
                f"the tokenizer has {vocab_size} tokens and the end token {end_id}, but the"
                f" pretrained model {record.name} has {rows} rows of embedding; take its own"
                " tokenizer"
            )
        if inner.base_model is inner:
            raise ConfigError(
                f"{record.architecture} has no body apart from its head, so it cannot be gone on"
                " from; choose another pretrained model"
            )
        inner.requires_grad_(config.adapt == "full")
        if config.adapt == "lora":
            add_lora(inner, rank=config.rank, seed=seed)
        self.inner = inner.eval()
        self._lent = _lent(inner)

    def train(self, mode: bool = True) -> PretrainedLM:
        """The mode of this module; the library's model stays as it is when it answers."""
        super().train(mode)
        self.inner.eval()
        return self

    # -- what it is ----------------------------------------------------------------------------

    @property
    def body(self) -> Body:
        """Its body; found out anew in a copy."""
        found = self.__dict__.get("_body")
        if found is None or found.inner is not self.inner:
            found = self.__dict__["_body"] = Body(self.inner)
        assert isinstance(found, Body)
        return found

    @property
    def token_vectors(self) -> Tensor:
        """See `LanguageModel`."""
        vectors: Tensor = self.inner.get_input_embeddings().weight
        return vectors

    @property
    def feature_width(self) -> int:
        """See `LanguageModel`."""
        return int(self.inner.config.get_text_config().hidden_size)

    @property
    def reading(self) -> Reading:
        """See `LanguageModel`."""
        chunk = min(_CHUNK, self.context)
        at_once = _TOKENS_AT_ONCE.get(self.device.type, _TOKENS_AT_ONCE["cpu"])
        written = _WRITTEN_LANES.get(self.device.type, _WRITTEN_LANES["cpu"])
        return Reading(
            lanes=max(1, at_once // chunk),
            chunk_tokens=chunk,
            written_lanes=written,
            tokens_at_once=at_once,
        )

    @property
    def rows_apart(self) -> bool:
        """See `LanguageModel`: where attention is row by row, or nothing grows with a text."""
        if self.body.packs:
            return bool(self.inner.config._attn_implementation == ROWS_APART)
        if not self.body.steps:
            return False
        with torch.inference_mode():
            _, state = self.features(torch.tensor([[self.end_id]]))
        assert isinstance(state, CacheState)
        return not state.grows

    @property
    def lent(self) -> frozenset[str]:
        """See `LanguageModel`."""
        return self._lent

    @property
    def shape(self) -> PretrainedConfig:
        """See `LanguageModel`."""
        return self.config

    @property
    def began_with(self) -> str:
        """See `LanguageModel`."""
        return digest([self.base.key, self.context, self.end_id])

    @property
    def known_until(self) -> date | None:
        """See `LanguageModel`."""
        return self.base.record().known_until

    def take_over(self, source: LanguageModel) -> None:
        """See `LanguageModel`; both must begin with the same bytes."""
        same = isinstance(source, PretrainedLM) and (
            source.base.substance() == self.base.substance()
        )
        if not same or _shapes(source) != _shapes(self):
            raise ConfigError(
                "the weights to start from were not made from this pretrained model in the same"
                " way; start from a model of the same base, adapt and rank"
            )
        restore(self, learnt(source))

    def settle(self) -> None:
        """See `LanguageModel`: small matrices become part of those beside which they learnt."""
        self.inner.requires_grad_(False)
        fold_lora(self.inner)
        tokens = torch.tensor([[self.end_id, *range(_TRIED)]]) % self.vocab_size

        def answer() -> Tensor:
            # It was made of the parts that stood here before.
            self.__dict__.pop("_head_of", None)
            logits: Tensor = self(tokens.to(self.device))[0]
            return logits

        pack(self.inner, matrices(self.inner), answer=answer)
        self.__dict__.pop("_head_of", None)

    def depths(self) -> list[list[nn.Parameter]]:
        """Blocks from the top down, what stands above all in the first; then the rest."""
        found = [[p for p in b.parameters() if p.requires_grad] for b in blocks(self.inner)]
        known = {id(p) for block in found for p in block}
        rest = [p for p in self.inner.parameters() if p.requires_grad and id(p) not in known]
        return [*(block for block in reversed(found) if block), *([rest] if rest else [])]

    def record(self) -> Mapping[str, Any]:
        """See `LanguageModel`."""
        return {
            "schema_version": 1,
            "kind": KIND,
            "vocab_size": self.vocab_size,
            "end_id": self.end_id,
            "config": self.config.model_dump(mode="json"),
            "base": {"key": self.base.key, "weights": self.base.record().weights_sha256},
        }

    # -- what it does --------------------------------------------------------------------------

    def expect(self, counts: Tensor) -> None:
        """Nothing: it has learnt that before."""

    def fresh_state(self, batch_size: int) -> State:
        """See `LanguageModel`."""
        return CacheState.fresh(batch_size)

    def features(
        self, tokens: Tensor, state: State | None = None, *, rng: torch.Generator | None = None
    ) -> tuple[Features, State]:
        """See `LanguageModel`; nothing is dropped."""
        return self._read(tokens, state, end_id=self.end_id)

    def converse(self, tokens: Tensor, state: State | None = None) -> tuple[Features, State]:
        """See `LanguageModel`."""
        return self._read(tokens, state, end_id=_NONE)

    def _read(self, tokens: Tensor, state: State | None, *, end_id: int) -> tuple[Features, State]:
        before = CacheState.fresh(len(tokens)) if state is None else state
        assert isinstance(before, CacheState)
        rows, held = tokens.cpu().numpy(), before.window.numpy()
        filled = before.filled.tolist()
        lanes, windows = zip(
            *(
                cut(
                    row,
                    held[lane, held.shape[1] - filled[lane] :],
                    lane=lane,
                    end_id=end_id,
                    context=self.context,
                )
                for lane, row in enumerate(rows)
            ),
            strict=True,
        )
        vectors, after = self.body.read(lanes, windows, before)
        return Features(vectors), after

    def logits(self, features: Features) -> Tensor:
        """See `LanguageModel`."""
        vectors = features.vectors
        found = self._scores(vectors if vectors.dim() == 3 else vectors[:, None])
        return found if vectors.dim() == 3 else found[:, 0]

    def target_nll(self, features: Features, targets: Tensor) -> Tensor:
        """See `LanguageModel`."""
        frozen = not any(p.requires_grad for p in self._head.parameters())
        nll = target_nll(
            lambda rows: self._scores(rows[None])[0],
            features.vectors.flatten(0, -2),
            targets.reshape(-1),
            vocab_size=self.vocab_size,
            frozen=frozen,
        )
        return nll.view(targets.shape)

    @property
    def _head(self) -> nn.Module:
        """From last states to logits; outside of the modules, as its weights are the model's."""
        head = self.__dict__.get("_head_of")
        if head is None or head[0] is not self.inner:
            head = self.__dict__["_head_of"] = (self.inner, head_of(self.inner))
        found: nn.Module = head[1]
        return found

    def _scores(self, vectors: Tensor) -> Tensor:
        logits: Tensor = self._head(inputs_embeds=vectors, use_cache=False).logits
        return logits

    @torch.no_grad()
    def attention_weights(self, tokens: Tensor) -> list[Tensor]:
        """See `LanguageModel`; of the first window. None where the library does not tell them."""
        return self.body.attention(tokens[:, : self.context], end_id=self.end_id)


def _shapes(model: LanguageModel) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in learnt(model).items()}


def _lent(inner: nn.Module) -> frozenset[str]:
    """Names of weights that do not learn, and second names of those that do."""
    learning = {name for name, p in inner.named_parameters() if p.requires_grad}
    return frozenset(f"inner.{name}" for name in inner.state_dict() if name not in learning)
