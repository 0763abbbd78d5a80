"""From logits to the next tokens: how continuations are drawn, many lanes at once.

Order of the filters, as in the field: repetition penalty, temperature, top-k, top-p.  What is drawn
for a lane is a function of its own scores, settings and chance, to the last bit, whoever is drawn
for beside it: every sum goes along a row, and a row's way through here depends on the row alone.

Legend: M lanes, V tokens, K tokens of a shortlist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmcore.errors import ConfigError
from lmcore.model.filtering import Forbidden

# Tokens that are ordered first; where they do not reach top-p or top-k, all of them are.
_SHORTLIST = 1024


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
        ends: Ids that end it as the end token does; those that end a turn of a conversation.
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
    ends: frozenset[int] = frozenset()
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


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How the next token of one lane is drawn.

    Attributes:
        config: What is kept of the distribution.
        chance: Uniform in [0, 1); which token of the kept ones it is.
        recent: Ids that the repetition penalty applies to.
    """

    config: GenerationConfig
    chance: float = 0.0
    recent: Sequence[int] = ()


@dataclass(frozen=True, kw_only=True)
class Shortlist:
    """What can be drawn for one lane.

    Attributes:
        tokens: Ids [K], likeliest first where a filter ordered them; None: all ids in order.
        sums: Running sums of their probabilities, float64 [K]; the last is the whole.
    """

    tokens: Tensor | None
    sums: Tensor

    def pick(self, chance: float) -> int:
        """The token whose part of the whole holds `chance` (inverse transform sampling)."""
        wanted = self.sums[-1] * chance
        place = min(int(torch.searchsorted(self.sums, wanted, right=True)), self.sums.shape[0] - 1)
        return place if self.tokens is None else int(self.tokens[place])


def draw(logits: Tensor, choices: Sequence[Choice]) -> list[int]:
    """Draw one token id for each lane.

    Args:
        logits: Scores [M, V], on the CPU.
        choices: Of each lane.
    """
    logits = penalised(logits, choices)
    greedy = [row for row, choice in enumerate(choices) if choice.config.temperature == 0.0]
    drawn = [row for row, choice in enumerate(choices) if choice.config.temperature > 0.0]
    found = dict(zip(greedy, logits[greedy].argmax(1).tolist(), strict=True)) if greedy else {}
    if drawn:
        lists = shortlists(logits[drawn], [choices[row].config for row in drawn])
        for row, shortlist in zip(drawn, lists, strict=True):
            found[row] = shortlist.pick(choices[row].chance)
    return [found[row] for row in range(len(choices))]


def shortlists(logits: Tensor, configs: Sequence[GenerationConfig]) -> list[Shortlist]:
    """What temperature, top-k and top-p leave of the scores [M, V], lane by lane."""
    vocab_size = logits.shape[1]
    temperatures = [config.temperature for config in configs]
    scores = logits.double() / torch.tensor(temperatures, dtype=torch.float64)[:, None]
    cut = [row for row, config in enumerate(configs) if _is_cut(config, vocab_size)]
    whole = [row for row, config in enumerate(configs) if not _is_cut(config, vocab_size)]
    found: dict[int, Shortlist] = {}
    if whole:
        sums = scores[whole].softmax(1).cumsum(1)
        found |= {
            row: Shortlist(tokens=None, sums=own) for row, own in zip(whole, sums, strict=True)
        }
    size = min(_SHORTLIST, vocab_size)
    while cut:
        some = scores[cut]
        values, tokens = some.topk(size, dim=1)
        normal = some.logsumexp(1)
        longer = []
        for place, row in enumerate(cut):
            shortlist = _cut(
                values[place], tokens[place], normal[place], configs[row], vocab_size=vocab_size
            )
            if shortlist is None:
                longer.append(row)
            else:
                found[row] = shortlist
        cut, size = longer, vocab_size
    return [found[row] for row in range(len(configs))]


def _is_cut(config: GenerationConfig, vocab_size: int) -> bool:
    return config.top_p < 1.0 or 0 < config.top_k < vocab_size


def _cut(
    values: Tensor,
    tokens: Tensor,
    normal: Tensor,
    config: GenerationConfig,
    *,
    vocab_size: int,
) -> Shortlist | None:
    """The tokens that stay, from the likeliest ones in order; None where more of them are needed.

    Args:
        values: Scores of the likeliest tokens in falling order, [K].
        tokens: Their ids [K].
        normal: Logarithm of the sum over all tokens' exponents of scores.
        config: What to keep.
        vocab_size: V.
    """
    listed = len(values)
    kept = listed
    if 0 < config.top_k < vocab_size:
        if config.top_k > listed:
            return None
        # Equally likely ones at the bound all stay.
        kept = int((values >= values[config.top_k - 1]).sum())
        if kept == listed < vocab_size:
            return None
        values = values[:kept]
        normal = values.logsumexp(0)
    probabilities = (values - normal).exp()
    sums = probabilities.cumsum(0)
    if config.top_p < 1.0:
        # A token is dropped if those before it reach top_p already; the first always stays.
        within = max(1, int((sums - probabilities < config.top_p).sum()))
        if within == kept == listed < vocab_size and float(sums[-1]) < config.top_p:
            return None
        kept = within
    return Shortlist(tokens=tokens[:kept], sums=sums[:kept])


def penalised(logits: Tensor, choices: Sequence[Choice]) -> Tensor:
    """Scores [M, V] with each lane's recent tokens made less likely."""
    changed = logits
    for row, choice in enumerate(choices):
        penalty = choice.config.repetition_penalty
        if penalty == 1.0 or not choice.recent:
            continue
        if changed is logits:
            changed = logits.clone()
        recent = torch.tensor(choice.recent, dtype=torch.long)
        score = logits[row, recent]
        changed[row, recent] = torch.where(score > 0, score / penalty, score * penalty)
    return changed
