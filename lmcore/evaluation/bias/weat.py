"""Word embedding association: do two groups of words lie nearer to different attributes?

In comes a JSON file of word lists, by path, and a model's input embeddings; out come effect sizes
with permutation p.  A word of several tokens is the mean of their rows.
Source: Caliskan et al., Science 356 (2017).  The effect size divides by the standard deviation
with ddof=1.  p is exact, over all ways to deal the target words into two groups of their sizes,
where those are at most 200,000; else by random deals, which draw words without replacement, with
the observed one counted in (Phipson and Smyth 2010), from a seed.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.errors import EmptyEvaluationError, UserError
from lmcore.model.language_model import LanguageModel

FLAWS = (
    "Associations of input embeddings say little about what a model writes.",
    "Lists of 8 to 25 words give large effects with small p even where there is no association"
    " (false confidence); words that the model has hardly seen add noise.",
    "A word that the vocabulary does not have as a whole is the mean of its pieces.",
)
MAX_EXACT = 200_000
PERMUTATIONS = 100_000
MIN_WORDS = 2
_LISTS = ("first_target", "second_target", "first_attribute", "second_attribute")
_SLICE = 1 << 22

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class WordLists:
    """One test: two groups of targets, two of attributes, each a name and words."""

    names: tuple[str, str, str, str]
    words: tuple[tuple[str, ...], ...]

    @property
    def name(self) -> str:
        """What is compared with what."""
        first, second, one, other = self.names
        return f"{first} and {second}, {one} and {other}"


def read_word_lists(path: Path) -> list[WordLists]:
    """Read a JSON list of tests, each with the four lists and their names.

    Raises:
        UserError: If it cannot be read or has another shape.
    """
    try:
        tests = []
        for raw in json.loads(path.read_text(encoding="utf-8")):
            parts = [raw[name] for name in _LISTS]
            words = [
                tuple(str(w) for w in part["words"] if w not in set(part.get("remove", ())))
                for part in parts
            ]
            if min(map(len, words)) < MIN_WORDS:
                raise ValueError(f"a list of fewer than {MIN_WORDS} words")
            names = tuple(str(part.get("name", "words")) for part in parts)
            tests.append(WordLists(names=names, words=tuple(words)))  # type: ignore[arg-type]
        if not tests:
            raise ValueError("no tests")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"gates.evaluation.probes.weat: {path} is not a file of word lists"
            f" ({type(error).__name__}: {error}); give a JSON list of objects with"
            f" {', '.join(_LISTS)}, each with `name` and `words`"
        ) from error
    return tests


def weat(
    model: LanguageModel,
    tokenizer: Tokenizer,
    tests: Sequence[WordLists],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Run the tests on a model's input embeddings.

    Returns:
        `tests`, a list of name, d, p, exact and words (targets and attributes used), and `flaws`.

    Raises:
        EmptyEvaluationError: If an embedding is not finite.
    """
    matrix = model.token_vectors.detach().double().cpu().numpy()
    if not np.isfinite(matrix).all():
        raise EmptyEvaluationError("the model's embeddings are not finite")
    results: list[Mapping[str, Any]] = []
    for test in tests:
        groups = [_vectors(words, matrix, tokenizer) for words in test.words]
        effect = association(*groups, seed=seed)
        results.append({"name": test.name, **effect, "words": sum(map(len, groups))})
    return {"tests": results, "flaws": list(FLAWS)}


def association(
    first: FloatArray,
    second: FloatArray,
    one: FloatArray,
    other: FloatArray,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Effect size and one-sided p of two groups of target vectors.

    Args:
        first: Targets, [N, e].
        second: Targets, [M, e].
        one: Attributes that the first are asked to be nearer to, [K, e].
        other: The other attributes, [L, e].
        seed: Of random deals.

    Returns:
        d, p and whether p is exact.

    Raises:
        EmptyEvaluationError: If all targets lie alike.
    """
    targets = _unit(np.concatenate([first, second]))
    values = (targets @ _unit(one).T).mean(axis=1) - (targets @ _unit(other).T).mean(axis=1)
    scale = float(values.std(ddof=1))
    if not scale > 0:
        raise EmptyEvaluationError("all target words of an association test lie alike")
    size = len(first)
    d = float(values[:size].mean() - values[size:].mean()) / scale
    p, exact = permutation_p(values, size, seed=seed)
    return {"d": d, "p": p, "exact": exact}


def permutation_p(values: FloatArray, size: int, *, seed: int = 0) -> tuple[float, bool]:
    """Share of deals of `values` whose first group of `size` sums to at least the observed sum.

    The sum of one group decides the difference of means, as the sum of both is fixed.
    """
    # Rounding must not turn the observed deal into one that does not reach itself.
    observed = float(values[:size].sum()) - 1e-12 * float(np.abs(values).sum())
    number = math.comb(len(values), size)
    if number <= MAX_EXACT:
        deals = itertools.combinations(range(len(values)), size)
        rows = np.fromiter(itertools.chain.from_iterable(deals), dtype=np.int16)
        sums = values[rows.reshape(number, size)].sum(axis=1)
        return float(np.mean(sums >= observed)), True
    rng = np.random.default_rng(seed)
    hits, step = 0, max(1, _SLICE // len(values))
    for start in range(0, PERMUTATIONS, step):
        dealt = rng.permuted(np.tile(values, (min(step, PERMUTATIONS - start), 1)), axis=1)
        hits += int(np.count_nonzero(dealt[:, :size].sum(axis=1) >= observed))
    return (1 + hits) / (1 + PERMUTATIONS), False


def _vectors(words: Sequence[str], matrix: FloatArray, tokenizer: Tokenizer) -> FloatArray:
    ids = tokenizer.encode_batch([f" {word}" for word in words])
    return np.stack([matrix[tokens].mean(axis=0) for tokens in ids])


def _unit(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float64)
