"""How fast the models of an evaluation answer on this machine: a few real texts, timed.

In: a model, its tokenizer and some of the texts that it will be judged on.  Out: tokens or bytes a
second, and seconds of a step.  What is timed is what the evaluation does: documents side by side in
the model's own lanes, longer ones in as many windows as it needs, and steps with its state.  The
first reading is thrown away where it was quick, since libraries set themselves up in it.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.evaluation.budget.language import Speeds
from lmcore.evaluation.memory.regurgitation import free_samples
from lmcore.evaluation.scores.scoring import score_each
from lmcore.model.generation import inference
from lmcore.model.language_model import LanguageModel
from lmcore.model.sampling import Choice, GenerationConfig, draw

# Chunks of one document.  A window of a model that exists begins with a quarter of the one before,
# read again; as windows hold two to four chunks, fewer than five would take long texts for cheaper.
_CHUNKS = 5
# Whatever took longer is believed at once.
_LONG_SECONDS = 2.0
_REPEATS = 3
_STEPS = 6
_CHARACTERS_A_TOKEN = 8

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A model and the tokenizer that it was trained with."""

    model: LanguageModel
    tokenizer: Tokenizer


def measure_speeds(
    candidate: Reader, texts: Sequence[str], *, champion: Reader | None = None
) -> Speeds:
    """Time a candidate and, where there is one, the champion.

    Args:
        candidate: In evaluation mode.
        texts: At least one that is not empty.
        champion: In evaluation mode.
    """
    model = candidate.model
    score, bytes_per_token = _scoring(candidate, texts)
    lanes = model.reading.written
    choices = [Choice(config=GenerationConfig(max_tokens=1), chance=0.5)] * lanes
    rng = torch.Generator().manual_seed(0)
    scores = torch.zeros(lanes, model.vocab_size).normal_(generator=rng)
    other = None
    if champion is not None:
        tokens_a_second, size = _scoring(champion, texts)
        other = tokens_a_second * size
    return Speeds(
        score=score,
        step=_steps(model, lanes=1),
        write=_steps(model, lanes=lanes),
        lanes=lanes,
        draw=typical_seconds(lambda: draw(scores, choices)) / lanes,
        bytes_per_token=bytes_per_token,
        champion=other,
    )


def _scoring(reader: Reader, texts: Sequence[str]) -> tuple[float, float]:
    """Tokens a second, and bytes a token, of documents as they are scored."""
    model, reading = reader.model, reader.model.reading
    most = _CHUNKS * reading.chunk_tokens
    tokens: list[IntArray] = []
    num_bytes = 0
    for text in texts[: reading.lanes]:
        ids = reader.tokenizer.encode(text[: _CHARACTERS_A_TOKEN * most])[:most]
        tokens.append(np.asarray(ids, dtype=np.int64))
        num_bytes += sum(len(reader.tokenizer.pieces[i]) for i in ids)
        if sum(map(len, tokens)) >= reading.lanes * reading.chunk_tokens:
            break
    count = sum(len(ids) + 1 for ids in tokens)
    seconds = typical_seconds(lambda: score_each(model, tokens))
    return count / seconds, max(1, num_bytes) / max(1, count)


def _steps(model: LanguageModel, *, lanes: int) -> float:
    """Seconds of a step in so many lanes, a token chosen in each."""
    with inference(model):
        work = functools.partial(free_samples, model, count=lanes, num_tokens=_STEPS, seed=0)
        return typical_seconds(work) / _STEPS


def typical_seconds(work: Callable[[], object]) -> float:
    """Seconds of a piece of work: the median of a few without the first; long work is done once."""
    times = []
    for _ in range(1 + _REPEATS):
        started = time.perf_counter()
        work()
        times.append(max(time.perf_counter() - started, 1e-9))
        if sum(times) > _LONG_SECONDS:
            break
    return statistics.median(times[1:] or times)
