"""From logits to the next tokens: how continuations are drawn, many lanes at once.

Order of the filters, as in the field: repetition penalty, temperature, top-k, top-p.  What is drawn
for a lane is a function of its own scores, settings and chance, to the last bit, whoever is drawn
for beside it: every sum goes along a row, and a row's way through here depends on the row alone.

Legend: M lanes, V tokens, K tokens of a shortlist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lmcore.errors import ConfigError
from lmcore.model.filtering import Forbidden

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
#: In the precision that a model has them in.
Scores = npt.NDArray[np.floating]
#: Scores divided by less would overflow; there the likeliest token is as good as certain.
COLDEST = 1e-6
# A vocabulary that is ordered whole: looking for its largest scores would take as long.
_FEW = 512
# Of a larger one so many tokens are ordered first; where they do not reach top-p or top-k, so many
# times more are.
_SHORTLIST = 256
_LONGER = 8


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """How to draw a continuation.

    Attributes:
        max_tokens: Largest number of new tokens.
        temperature: Divides the logits, at least a millionth; 0 takes the likeliest token.
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
            "temperature": (
                self.temperature == 0.0 or COLDEST <= self.temperature < 1e6,
                f"0, or a number of at least {COLDEST:g}",
            ),
            "top_k": (self.top_k >= 0, ">= 0"),
            "top_p": (0.0 < self.top_p <= 1.0, "in (0, 1]"),
            "repetition_penalty": (0.0 < self.repetition_penalty < 1e6, "a number > 0"),
            "seed": (0 <= self.seed < 1 << 63, "in [0, 2**63)"),
            "stop": (all(self.stop), "strings that are not empty"),
        }
        for name, (holds, expected) in checks.items():
            if not holds:
                raise ConfigError(f"{name}={getattr(self, name)!r}; expected {expected}")


class Choice(NamedTuple):
    """How the next token of one lane is drawn; made for each token, so it is a tuple.

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
    """What can be drawn for some lanes.

    Attributes:
        lanes: Which lanes [G].
        scores: Of all tokens, [G, V].
        ordered: The largest of them, descending [G, K]; None: all, in the order of ids.
        sums: Running sums of their probabilities, float64 [G, K].
        kept: How many of them can be drawn, the first ones, [G].
    """

    lanes: list[int]
    scores: Scores
    ordered: Scores | None
    sums: FloatArray
    kept: IntArray

    def pick(self, chances: Sequence[float]) -> list[int]:
        """Of each lane the token whose part of the whole holds its chance.

        That is inverse transform sampling.
        """
        lanes, last = np.arange(len(self.lanes)), self.kept - 1
        wanted = self.sums[lanes, last] * np.array(chances)
        places = np.minimum((self.sums <= wanted[:, None]).sum(1), last)
        found: list[int] = self.tokens(places).tolist()
        return found

    def tokens(self, places: IntArray) -> IntArray:
        """Ids of the tokens at places [G] of the list; equally likely ones stand as their ids."""
        if self.ordered is None:
            return places
        score = self.ordered[np.arange(len(places)), places, None]
        same = self.scores == score
        before = places - (self.ordered > score).sum(1)
        # Two are hardly ever equal.
        ids: IntArray = ((same.cumsum(1) > before[:, None]) if before.any() else same).argmax(1)
        return ids

    def only(self, places: list[int]) -> Shortlist:
        """That of some of the lanes."""
        return Shortlist(
            lanes=[self.lanes[place] for place in places],
            scores=self.scores[places],
            ordered=None if self.ordered is None else self.ordered[places],
            sums=self.sums[places],
            kept=self.kept[places],
        )


def draw(logits: Tensor, choices: Sequence[Choice]) -> list[int]:
    """Draw one token id for each lane.

    Args:
        logits: Scores [M, V], on the CPU.
        choices: Of each lane.
    """
    logits = penalised(logits, choices)
    greedy = [lane for lane, choice in enumerate(choices) if choice.config.temperature == 0.0]
    drawn = [lane for lane, choice in enumerate(choices) if choice.config.temperature > 0.0]
    found = dict(zip(greedy, logits[greedy].argmax(1).tolist(), strict=True)) if greedy else {}
    if drawn:
        theirs = [choices[lane] for lane in drawn]
        some = logits[drawn] if greedy else logits
        for shortlist in shortlists(some, [choice.config for choice in theirs]):
            tokens = shortlist.pick([theirs[lane].chance for lane in shortlist.lanes])
            found.update(zip((drawn[lane] for lane in shortlist.lanes), tokens, strict=True))
    return [found[lane] for lane in range(len(choices))]


def shortlists(logits: Tensor, configs: Sequence[GenerationConfig]) -> list[Shortlist]:
    """What temperature, top-k and top-p leave of the scores [M, V] of all lanes.

    Arrays are numpy's: a call costs a third of torch's, and there are dozens for each token.
    Scores are ordered alone, which takes a fifth of the time of ordering them with their ids.
    """
    scores: Scores = logits.numpy()
    vocab_size = scores.shape[1]
    heat = np.array([[config.temperature] for config in configs])
    peak = scores.max(1, keepdims=True) / heat
    weights = np.exp(scores / heat - peak)
    total = weights.sum(1, keepdims=True)
    cut = [_is_cut(config, vocab_size) for config in configs]
    whole = [lane for lane, shortened in enumerate(cut) if not shortened]
    found = []
    if whole:
        sums = (weights[whole] / total[whole]).cumsum(1)
        kept = np.full(len(whole), vocab_size)
        found.append(
            Shortlist(lanes=whole, scores=scores[whole], ordered=None, sums=sums, kept=kept)
        )
    left = [lane for lane, shortened in enumerate(cut) if shortened]
    size = vocab_size if vocab_size <= _FEW else _SHORTLIST
    while left:
        some = scores if len(left) == len(configs) else scores[left]
        ordered = _largest(some, size)
        values = np.exp(ordered / heat[left] - peak[left]) / total[left]
        sums = values.cumsum(1)
        within, enough = _kept(values, sums, [configs[lane] for lane in left], vocab_size)
        shortlist = Shortlist(lanes=left, scores=some, ordered=ordered, sums=sums, kept=within)
        if all(enough):
            return [*found, shortlist]
        if any(enough):
            found.append(shortlist.only([place for place, holds in enumerate(enough) if holds]))
        left = [lane for lane, holds in zip(left, enough, strict=True) if not holds]
        size = min(size * _LONGER, vocab_size)
    return found


def _largest(scores: Scores, size: int) -> Scores:
    """The largest scores of each row [G, V], descending [G, size]."""
    if size < scores.shape[1]:
        scores = np.partition(scores, -size, axis=1)[:, -size:]
    return np.sort(scores, axis=1)[:, ::-1]


def _is_cut(config: GenerationConfig, vocab_size: int) -> bool:
    return config.top_p < 1.0 or 0 < config.top_k < vocab_size


def _kept(
    values: FloatArray, sums: FloatArray, configs: Sequence[GenerationConfig], vocab_size: int
) -> tuple[IntArray, list[bool]]:
    """How many of the likeliest tokens stay, and whether these are all that do.

    Args:
        values: Their probabilities, descending [G, K].
        sums: The running sums of these.
        configs: What to keep, [G].
        vocab_size: V.
    """
    size = values.shape[1]
    everything = size == vocab_size
    rows = np.arange(len(configs))
    kept, total = np.full(len(configs), size), np.ones(len(configs))
    enough = np.ones(len(configs), dtype=bool)
    most = np.array([c.top_k if 0 < c.top_k < vocab_size else 0 for c in configs])
    limited = most > 0
    if limited.any():
        # Equally likely ones at the bound all stay.
        bound = values[rows, (most - 1).clip(0, size - 1)]
        kept = np.where(limited, (values >= bound[:, None]).sum(1), kept)
        total = np.where(limited, sums[rows, kept - 1], total)
        if not everything:
            enough = ~(limited & ((most > size) | (kept == size)))
    # A token is dropped if those before it reach top_p already; the first always stays.
    reach = np.array([c.top_p if c.top_p < 1.0 else np.inf for c in configs]) * total
    within = (sums - values < reach[:, None]).sum(1).clip(1, kept)
    if not everything:
        enough &= (within < size) | (sums[:, -1] >= reach)
    return within, enough.tolist()


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
