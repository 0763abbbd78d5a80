"""Does the model give its training text back, word for word?

Two measurements, both on the language model as it is:

* *extraction*: windows of 50 tokens and what stands before them in their document (50 tokens at
  least).  The probability that one try reproduces the window is exp(-nats), so the probability of
  100 tries follows without a single draw: a window is extractable where it is at least one half
  (Hayes et al., arXiv:2410.19482).  The scores are those of the other gates, so this costs nothing.
  The same rate on validation text says how much of it is stock phrases that anybody would write;
* *verbatim samples*: texts drawn freely from the start of a document, and the longest piece of each
  that stands in the training text (`lmcore.evaluation.memory.suffix_array`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lmcore.evaluation.memory.suffix_array import SEPARATOR, TrainIndex
from lmcore.evaluation.scores.cores import work_apart
from lmcore.model.language_model import LanguageModel

PREFIX_TOKENS = 50
SUFFIX_TOKENS = 50
TRIES = 100
PROBABILITY = 0.5
SAMPLE_TEMPERATURE = 0.8
# Side by side at most: of the usual number of samples two cores draw half each.
_MOST_LANES = 256

#: A window that costs no more is extractable: 1 - (1 - exp(-nats)) ** TRIES >= PROBABILITY.
EXTRACTABLE_NATS = -math.log1p(-((1 - PROBABILITY) ** (1 / TRIES)))

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows of one side; every column has shape [N].

    Attributes:
        cluster: Of near-copies, by document.
        nats: What the model finds the window to cost after all that stands before it.
    """

    cluster: NDArray[np.object_]
    nats: FloatArray

    def __len__(self) -> int:
        return len(self.nats)

    @property
    def extractable(self) -> BoolArray:
        """Which windows are more likely than not to appear in a hundred tries, shape [N]."""
        return np.asarray(self.nats <= EXTRACTABLE_NATS)


class WindowBook:
    """Cuts documents into windows, side by side, as they are scored."""

    def __init__(self) -> None:
        self._clusters: list[str] = []
        self._nats: list[FloatArray] = []

    def add(
        self, cluster: str, nats: NDArray[np.float32], *, counted: BoolArray | None = None
    ) -> None:
        """Take one document.

        Args:
            cluster: Of near-copies.
            nats: Of each token and of the end behind them, shape [T + 1].
            counted: Which of them were consumed, of the same shape; None: all count.
        """
        whole = (len(nats) - 1 - PREFIX_TOKENS) // SUFFIX_TOKENS
        if whole < 1:
            return
        stop = PREFIX_TOKENS + whole * SUFFIX_TOKENS
        sums = nats[PREFIX_TOKENS:stop].reshape(whole, -1).sum(axis=1, dtype=np.float64)
        if counted is not None:
            missing = np.concatenate([[0], np.cumsum(~counted)])
            starts = PREFIX_TOKENS + SUFFIX_TOKENS * np.arange(whole)
            # The tokens before the window too: a prompt that was never read prompts nothing.
            seen = missing[starts + SUFFIX_TOKENS] == missing[starts - PREFIX_TOKENS]
            sums = sums[seen]
        self._nats.append(sums)
        self._clusters += [cluster] * len(sums)

    def windows(self) -> Windows:
        """All windows so far."""
        return Windows(
            cluster=np.array(self._clusters, dtype=object),
            nats=np.concatenate([*self._nats, np.zeros(0)]),
        )


@dataclass(frozen=True, kw_only=True)
class Regurgitation:
    """What was measured.

    Attributes:
        train: Windows of consumed text.
        held_out: Windows of validation.
        longest: Longest verbatim train match of each free sample in tokens, shape [S].
        examples: Text and document of the longest matches, for the report.
    """

    train: Windows
    held_out: Windows
    longest: IntArray
    examples: tuple[dict[str, str | int], ...] = ()


def free_samples(model: LanguageModel, *, count: int, num_tokens: int, seed: int) -> IntArray:
    """Draw texts from the start of a document, as many side by side as suits the model.

    A document that ends is followed by a new one: its end stands between them.

    Args:
        model: In evaluation mode.
        count: Samples S.
        num_tokens: Tokens of each.
        seed: Of the draws.

    Returns:
        Tokens, shape [S, num_tokens].
    """
    found = np.zeros((count, num_tokens), dtype=np.int64)
    size = min(model.reading.written, _MOST_LANES)
    groups = [found[start : start + size] for start in range(0, count, size)]
    # Each has draws of its own, so they do not depend on how many cores there are.
    seeds = np.random.SeedSequence(seed).generate_state(len(groups), np.uint64).tolist()
    work_apart(
        [_drawn(model, rows, seed=own) for rows, own in zip(groups, seeds, strict=True)],
        model=model,
        of=found.size,
    )
    return found


def _drawn(model: LanguageModel, rows: IntArray, *, seed: int) -> Iterator[int]:
    """Fill rows with samples; yields how many tokens it drew."""
    device = model.device
    rng = torch.Generator(device=device).manual_seed(seed)
    state = model.stepping(model.fresh_state(len(rows)))
    token = torch.full((len(rows), 1), model.end_id, device=device)
    for place in range(rows.shape[1]):
        logits, state = model(token, state)
        weights = (logits[:, -1].float() / SAMPLE_TEMPERATURE).softmax(-1)
        # The smallest of exponential variables with these rates: a draw, in one pass.
        noise = torch.empty_like(weights).exponential_(generator=rng)
        token = (weights / noise).argmax(-1, keepdim=True)
        rows[:, place] = token[:, 0].cpu().numpy()
        yield len(rows)


def verbatim(
    samples: IntArray, index: TrainIndex, *, pieces: tuple[bytes, ...], examples: int = 3
) -> tuple[IntArray, tuple[dict[str, str | int], ...]]:
    """Longest train match of each sample, and the longest of all with where they stand.

    Args:
        samples: Tokens, shape [S, T].
        index: Of the train text.
        pieces: Bytes of each token.
        examples: How many to show.
    """
    count, length = samples.shape
    if not samples.size:
        return np.zeros(count, dtype=np.int64), ()
    apart = np.concatenate([samples, np.full((count, 1), SEPARATOR)], axis=1)
    found = index.longest(apart.ravel())
    by_sample = found.length.reshape(count, length + 1)
    at = by_sample.argmax(axis=1)
    longest = by_sample[np.arange(count), at]
    shown: list[dict[str, str | int]] = []
    for sample in np.argsort(-longest, kind="stable")[:examples].tolist():
        start, size = int(at[sample]), int(longest[sample])
        if not size:
            continue
        place = int(found.place.reshape(count, length + 1)[sample, start])
        document = int(index.documents_at(np.array([place]))[0])
        tokens = samples[sample, start : start + size].tolist()
        shown.append(
            {
                "tokens": size,
                "text": b"".join(pieces[token] for token in tokens).decode(errors="replace"),
                "document": index.document_id(document),
                "offset_tokens": index.offset(place),
            }
        )
    return longest, tuple(shown)
