"""MinHash against exact Jaccard, and sketches against exact containment."""

import numpy as np
import pytest

from lmcore.data.copies.deduplication import (
    MIN_SKETCH,
    SIGNATURE_BYTES,
    SKETCH_RATE,
    SignatureBatch,
    minhash,
    sketch,
)
from lmcore.data.copies.shingles import shingles


def _words(rng: np.random.Generator, count: int) -> list[str]:
    return [f"w{i}" for i in rng.integers(0, 5_000, count)]


def _edited(rng: np.random.Generator, words: list[str], share: float) -> list[str]:
    edited = list(words)
    for i in rng.choice(len(words), int(len(words) * share), replace=False):
        edited[i] = f"x{rng.integers(10**9)}"
    return edited


def _jaccard(a: str, b: str) -> float:
    left, right = set(shingles(a).tolist()), set(shingles(b).tolist())
    return len(left & right) / len(left | right)


@pytest.mark.parametrize("share", [0.01, 0.03, 0.06, 0.15])
def test_estimates_agree_with_exact_jaccard(share: float) -> None:
    rng = np.random.default_rng(7)
    errors = []
    for _ in range(40):
        words = _words(rng, 1_000)
        a, b = " ".join(words), " ".join(_edited(rng, words, share))
        left, right = minhash([shingles(a), shingles(b)])
        errors.append(float((left == right).mean()) - _jaccard(a, b))
    # 40 estimates with a standard error of at most 0.045 each.
    assert abs(np.mean(errors)) < 0.025
    assert np.std(errors) < 0.07


def test_batches_change_nothing() -> None:
    rng = np.random.default_rng(1)
    texts = [" ".join(_words(rng, n)) for n in (3, 40_000, 5, 200, 17)]
    batch = SignatureBatch()
    together = b"".join(batch.add(shingles(text)) for text in texts) + batch.flush()
    alone = b"".join(minhash([shingles(text)]).tobytes() for text in texts)
    assert together == alone
    assert len(together) == len(texts) * SIGNATURE_BYTES


def test_sketches_estimate_containment_whatever_the_lengths() -> None:
    rng = np.random.default_rng(5)
    long = _words(rng, 20_000)
    part = [*long[5_000:6_200], *_words(rng, 800)]  # 60 % of it from the long text
    a, b = sketch(shingles(" ".join(part))), sketch(shingles(" ".join(long)))
    assert len(b) == pytest.approx(20_000 / SKETCH_RATE, rel=0.15)
    share = len(np.intersect1d(a, b)) / len(a)
    # About 125 samples: a standard error of 0.044.
    assert share == pytest.approx(0.6, abs=0.15)
    assert len(sketch(shingles(" ".join(_words(rng, 20))))) in (0, *range(MIN_SKETCH, 21))
