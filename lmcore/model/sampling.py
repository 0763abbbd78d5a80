"""From logits to the next token: how a continuation is drawn.

Order of the filters, as in the field: repetition penalty, temperature, top-k, top-p.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmcore.errors import ConfigError
from lmcore.model.filtering import Forbidden


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """How to draw a continuation.

    Attributes:
        max_tokens: Largest number of new tokens.
        temperature: Divides the logits; 0 takes the likeliest token.
        top_k: Keep the k likeliest tokens; 0 keeps all.
        top_p: Keep the smallest set of likeliest tokens with this probability; 1 keeps all.
        repetition_penalty: Divides positive and multiplies negative logits of tokens
            among the last 64 of the continuation (Keskar et al. 2019, CTRL); 1 is off.
        stop: End before any of these strings appears.
        forbidden: End before any part of these texts appears; a version's canaries.
        seed: Seed of the run's own generator.

    Raises:
        ConfigError: If a value is out of range.
    """

    max_tokens: int = 200
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 0.95
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    forbidden: Forbidden | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        checks = {
            "max_tokens": (self.max_tokens >= 0, ">= 0"),
            "temperature": (0.0 <= self.temperature < 1e6, "a number >= 0"),
            "top_k": (self.top_k >= 0, ">= 0"),
            "top_p": (0.0 < self.top_p <= 1.0, "in (0, 1]"),
            "repetition_penalty": (0.0 < self.repetition_penalty < 1e6, "a number > 0"),
            "seed": (0 <= self.seed < 1 << 63, "in [0, 2**63)"),
            "stop": (all(self.stop), "strings that are not empty"),
        }
        for name, (holds, expected) in checks.items():
            if not holds:
                raise ConfigError(f"{name}={getattr(self, name)!r}; expected {expected}")


def filter_logits(
    logits: Tensor, config: GenerationConfig, *, recent: Tensor | None = None
) -> Tensor:
    """Logits of the distribution to draw from.

    Args:
        logits: Scores [V].
        config: What to keep; its temperature must not be 0.
        recent: int64 ids that the repetition penalty applies to.
    """
    logits = penalise(logits, config.repetition_penalty, recent=recent)
    logits = logits / config.temperature
    if 0 < config.top_k < len(logits):
        smallest = logits.topk(config.top_k).values[-1]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
    if config.top_p < 1.0:
        ordered, index = logits.sort(descending=True, stable=True)
        probability = ordered.softmax(0)
        # A token is dropped if those before it reach top_p already; the first always stays.
        dropped = probability.cumsum(0) - probability >= config.top_p
        logits = logits.index_fill(0, index[dropped], -torch.inf)
    return logits


def penalise(logits: Tensor, penalty: float, *, recent: Tensor | None) -> Tensor:
    """Make recent tokens less likely; [V] -> [V]."""
    if penalty == 1.0 or recent is None or not len(recent):
        return logits
    score = logits[recent]
    return logits.index_copy(0, recent, torch.where(score > 0, score / penalty, score * penalty))


def draw(
    logits: Tensor,
    config: GenerationConfig,
    *,
    rng: torch.Generator,
    recent: Tensor | None = None,
) -> int:
    """Draw one token id from scores [V]."""
    if config.temperature == 0.0:
        return int(penalise(logits, config.repetition_penalty, recent=recent).argmax())
    probability = filter_logits(logits, config, recent=recent).softmax(0)
    return int(torch.multinomial(probability, 1, generator=rng))
