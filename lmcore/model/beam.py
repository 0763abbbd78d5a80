"""Search the likeliest continuations of prompts: beam search in constant memory.

In: prompts as token ids, or the logits and the state after reading them. Out: for each
prompt its best hypotheses with their log-probabilities. A step reads one token in each
of P x K lanes at once and keeps, for each prompt, the K likeliest extensions of its
hypotheses. One that ends takes its place among the K of that step and goes to the
finished ones; so a beam of one is greedy search and a beam wide enough is exact.

The score is log p / n ** alpha over the n tokens drawn, an end token included: alpha 0 ranks
by log-probability, which favours short answers, and 1 by the mean for a token (Jean et al.
2015; Murray and Chiang 2018 compare it with the length penalty of Wu et al. 2016, which it
deviates from by having no constant 5: a one-token answer is normalised like any other).
A log-probability only falls and the divisor only grows to its value at `max_tokens`; so
the search of a prompt ends as soon as no open hypothesis can still reach the finished ones.

Legend: P prompts in progress, K hypotheses of each, V tokens, t tokens drawn so far.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lmcore.errors import ConfigError
from lmcore.model.generation import inference, prefill
from lmcore.model.language_model import LanguageModel
from lmcore.model.state import State

__all__ = ["BeamConfig", "Hypothesis", "beam_search", "beam_search_from"]


@dataclass(frozen=True, kw_only=True)
class BeamConfig:
    """How to search.

    Attributes:
        beam_size: Hypotheses that a prompt keeps open.
        max_tokens: Largest number of tokens to draw, an end token included.
        min_tokens: Smallest number of tokens before an end token.
        length_penalty: Exponent alpha of the length that a log-probability is divided by.
        no_repeat_ngram_size: No n tokens in a row appear twice in a hypothesis; 0 is off.
        num_return: Hypotheses to return for a prompt, at most `beam_size`.

    Raises:
        ConfigError: If a value is out of range.
    """

    beam_size: int = 4
    max_tokens: int = 200
    min_tokens: int = 0
    length_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    num_return: int = 1

    def __post_init__(self) -> None:
        checks = {
            "beam_size": (self.beam_size >= 1, ">= 1"),
            "max_tokens": (self.max_tokens >= 1, ">= 1"),
            "min_tokens": (0 <= self.min_tokens <= self.max_tokens, "in [0, max_tokens]"),
            "length_penalty": (0.0 <= self.length_penalty < 100.0, "in [0, 100)"),
            "no_repeat_ngram_size": (self.no_repeat_ngram_size >= 0, ">= 0"),
            "num_return": (1 <= self.num_return <= self.beam_size, "in [1, beam_size]"),
        }
        for name, (holds, expected) in checks.items():
            if not holds:
                raise ConfigError(f"{name}={getattr(self, name)!r}; expected {expected}")


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """One continuation that was found.

    Attributes:
        tokens: Ids of the continuation, without the end token.
        log_probability: Of the tokens, and of the end token if it ends; nats.
        score: The log-probability, normalised by length; what hypotheses are ranked by.
        finish: `end` (it ends itself) or `length` (it was cut by `max_tokens`).
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float
    finish: Literal["end", "length"]


class _Finished:
    """The best finished hypotheses of one prompt."""

    def __init__(self, config: BeamConfig) -> None:
        self._config = config
        # The worst comes first; of equal scores the one that was found last.
        self._heap: list[tuple[float, int, Hypothesis]] = []
        self._found = 0

    def add(self, tokens: Sequence[int], total: float, *, end: bool) -> None:
        score: float = total / (len(tokens) + end) ** self._config.length_penalty
        finish: Literal["end", "length"] = "end" if end else "length"
        hypothesis = Hypothesis(
            tokens=tuple(tokens), log_probability=total, score=score, finish=finish
        )
        self._found += 1
        heapq.heappush(self._heap, (score, -self._found, hypothesis))
        if len(self._heap) > self._config.num_return:
            heapq.heappop(self._heap)

    def closed_to(self, total: float) -> bool:
        """Whether no continuation of a hypothesis of log-probability `total` can enter."""
        if len(self._heap) < self._config.num_return:
            return False
        reachable: float = total / self._config.max_tokens**self._config.length_penalty
        return reachable <= self._heap[0][0]

    def best(self) -> list[Hypothesis]:
        return [hypothesis for _, _, hypothesis in sorted(self._heap, reverse=True)]


def beam_search(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    config: BeamConfig,
    *,
    end_id: int | None = None,
) -> list[list[Hypothesis]]:
    """Search continuations of prompts; a prompt is the ids that follow the end token.

    Returns:
        For each prompt, best first, up to `num_return` hypotheses and at least one.
    """
    if not prompts:
        return []
    with inference(model):
        logits, state = prefill(model, prompts)
    return beam_search_from(model, logits, state, config, end_id=end_id)


def beam_search_from(
    model: LanguageModel,
    logits: Tensor,
    state: State,
    config: BeamConfig,
    *,
    end_id: int | None = None,
) -> list[list[Hypothesis]]:
    """Search from what was read already.

    Args:
        model: Reads the hypotheses.
        logits: Scores of each prompt's first new token, [P, V].
        state: State after each prompt, P lanes.
        config: How to search.
        end_id: Token that ends a hypothesis; None is the model's own.

    Returns:
        For each prompt, best first, up to `num_return` hypotheses and at least one.
    """
    end = model.end_id if end_id is None else end_id
    finished = [_Finished(config) for _ in range(len(logits))]
    active = list(range(len(logits)))
    totals = torch.zeros(len(active), 1, dtype=torch.float64, device=logits.device)
    tokens = torch.zeros(len(active), 1, 0, dtype=torch.long, device=logits.device)
    with inference(model):
        state = model.stepping(state)
        for drawn in range(1, config.max_tokens + 1):
            scores = _next_scores(logits, tokens, config, end=end)
            totals, parents, new = _extend(totals, scores, width=config.beam_size)
            history = tokens.gather(1, parents[..., None].expand(-1, -1, drawn - 1))
            tokens = torch.cat([history, new[..., None]], dim=2)
            ended = new == end
            last = drawn == config.max_tokens
            open_ = _collect(finished, active, totals, tokens, ended=ended, last=last)
            if not open_:
                break
            totals = totals.masked_fill(ended, -torch.inf)
            if parents.shape[1] == scores.shape[1]:
                state = state.regroup(open_, parents[open_])
            else:  # as at first, where a prompt has one hypothesis
                lanes = parents + parents.new_tensor(range(len(active)))[:, None] * scores.shape[1]
                state = state.select(lanes[open_].flatten())
            active = [active[row] for row in open_]
            totals, tokens = totals[open_], tokens[open_]
            chunk, state = model(tokens[..., -1].reshape(-1, 1), state)
            logits = chunk[:, -1]
    return [prompt.best() for prompt in finished]


def _next_scores(logits: Tensor, tokens: Tensor, config: BeamConfig, *, end: int) -> Tensor:
    """Log-probabilities of the next token [P, K, V]; -inf for those that are ruled out."""
    num_prompts, width, drawn = tokens.shape
    # In double precision sums over thousands of tokens still tell hypotheses apart.
    scores = logits.double().log_softmax(-1)
    banned = torch.zeros_like(scores, dtype=torch.bool)
    size = config.no_repeat_ngram_size
    if 0 < size <= drawn:
        history = tokens.view(-1, drawn)
        grams = history.unfold(1, size, 1)
        seen = (grams[..., :-1] == history[:, None, drawn - size + 1 :]).all(-1)
        lane, place = seen.nonzero(as_tuple=True)
        banned[lane, grams[lane, place, -1]] = True
    if drawn < config.min_tokens:
        # A hypothesis that may go nowhere else may end all the same.
        others = banned.sum(-1) >= banned.shape[-1] - 1
        banned[:, end] = ~others
    return scores.masked_fill(banned, -torch.inf).view(num_prompts, width, -1)


def _extend(totals: Tensor, scores: Tensor, *, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """The likeliest extensions: sums, hypotheses that they extend, new tokens; each [P, K]."""
    num_prompts, _, vocab_size = scores.shape
    sums = (totals[..., None] + scores).view(num_prompts, -1)
    totals, index = sums.topk(min(width, sums.shape[1]), dim=1)
    return totals, index // vocab_size, index % vocab_size


def _collect(
    finished: Sequence[_Finished],
    active: Sequence[int],
    totals: Tensor,
    tokens: Tensor,
    *,
    ended: Tensor,
    last: bool,
) -> list[int]:
    """Move what is finished out of the beams; returns the rows of prompts to go on with."""
    goes_on = []
    sums = totals.tolist()
    ends = ended.tolist()
    for row, prompt in enumerate(active):
        best = -torch.inf
        for beam, total in enumerate(sums[row]):
            if total == -torch.inf:
                continue  # a place that no hypothesis fills
            if ends[row][beam]:
                finished[prompt].add(tokens[row, beam, :-1].tolist(), total, end=True)
            elif last:
                finished[prompt].add(tokens[row, beam].tolist(), total, end=False)
            else:
                best = max(best, total)
        if best > -torch.inf and not finished[prompt].closed_to(best):
            goes_on.append(row)
    return goes_on
