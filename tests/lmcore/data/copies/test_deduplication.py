"""MinHash against exact Jaccard, bands that miss nothing, clusters independent of order."""

import tracemalloc
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.copies.deduplication import (
    MIN_SKETCH,
    NUM_MINIMA,
    SIGNATURE_BYTES,
    SKETCH_RATE,
    SignatureBatch,
    cluster,
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


def _order(count: int) -> npt.NDArray[np.uint64]:
    return np.arange(count, dtype=np.uint64)


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


def test_near_copies_are_found_and_strangers_are_not() -> None:
    rng = np.random.default_rng(3)
    texts: list[str] = []
    for _ in range(150):
        words = _words(rng, 300)
        texts += [" ".join(words), " ".join(_edited(rng, words, 0.02))]
    signatures = minhash([shingles(text) for text in texts])
    roots = cluster(signatures, _order(300), similarity=0.7).roots
    pairs = roots.reshape(-1, 2)
    alike = np.array([_jaccard(a, b) for a, b in zip(texts[::2], texts[1::2], strict=True)])
    # Clearly alike pairs are all joined; the estimate decides near the threshold only.
    assert (pairs[:, 0] == pairs[:, 1])[alike > 0.82].all()
    assert (alike > 0.82).sum() > 50
    assert len(np.unique(roots)) >= 150


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(2, 40))
def test_clusters_depend_on_the_set_and_not_on_the_order(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    base = [_words(rng, 120) for _ in range(4)]
    texts = [" ".join(_edited(rng, base[int(rng.integers(4))], 0.02)) for _ in range(count)]
    signatures = minhash([shingles(text) for text in texts])
    order = rng.permutation(count).astype(np.uint64)
    shuffle = rng.permutation(count)

    def groups(roots: npt.NDArray[np.int64], keys: npt.NDArray[np.uint64]) -> set[frozenset[int]]:
        return {frozenset(keys[roots == root].tolist()) for root in np.unique(roots)}

    first = groups(cluster(signatures, order, similarity=0.7).roots, order)
    second = groups(
        cluster(signatures[shuffle], order[shuffle], similarity=0.7).roots, order[shuffle]
    )
    assert first == second


def test_many_copies_of_one_text_form_one_cluster_without_quadratic_work() -> None:
    signature = minhash([shingles("the same text in all of these very many documents")])
    signatures = np.repeat(signature, 10_000, axis=0)
    found = cluster(signatures, _order(10_000), similarity=0.7)
    assert not found.roots.any()
    assert found.pairs == 32 * 9_999


def test_one_row_or_none_has_nothing_to_join() -> None:
    for count in (0, 1):
        signatures = np.zeros((count, NUM_MINIMA), dtype=np.uint16)
        assert len(cluster(signatures, _order(count), similarity=0.7).roots) == count


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


def test_clustering_takes_forty_bytes_a_text(tmp_path: Path) -> None:
    num_rows = 150_000
    rng = np.random.default_rng(0)
    signatures = rng.integers(0, 1 << 16, (num_rows, NUM_MINIMA), dtype=np.uint16)
    signatures[1::1000] = signatures[::1000]
    path = tmp_path / "signatures.bin"
    signatures.tofile(path)
    del signatures
    mapped = np.memmap(path, dtype=np.uint16, mode="r").reshape(-1, NUM_MINIMA)
    order = rng.permutation(num_rows).astype(np.uint64)
    tracemalloc.start()
    try:
        found = cluster(mapped, order, similarity=0.7)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    joined = np.flatnonzero(found.roots != np.arange(num_rows))
    assert joined.tolist() == list(range(1, num_rows, 1000))
    assert found.roots[joined].tolist() == list(range(0, num_rows, 1000))
    # The caller's `order` is eight more.
    assert peak / num_rows + order.itemsize < 45, peak / num_rows
