import pytest

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.drift.text_shift import (
    compare_lengths,
    compare_unseen_words,
    unseen_bytes,
    words_of,
)
from lmcore.evaluation.statistics.resampling import Resampling


def test_words_are_told_apart_whatever_their_case() -> None:
    assert words_of("The Straße, the STRASSE; 1790!") == [
        "the",
        "strasse",
        "the",
        "strasse",
        "1790",
    ]


def test_unseen_words_are_counted_in_bytes() -> None:
    assert unseen_bytes("old NEW été", {"old"}) == (3 + 5, 3 + 3 + 5)
    assert unseen_bytes("...", {"old"}) == (0, 0)


def test_shares_of_unseen_words_are_compared() -> None:
    fresh = [(5, 10, "a"), (5, 10, "b"), (0, 0, "no words")]
    reference = [(1, 10, "c"), (1, 10, "d"), (1, 10, "e")]
    found = compare_unseen_words(fresh, reference, resampling=Resampling(resamples=1_000))
    assert found is not None
    assert found.fresh.value == 0.5
    assert found.reference.value == pytest.approx(0.1)
    assert found.difference.lower == found.difference.upper == pytest.approx(0.4)
    assert (
        compare_unseen_words(fresh[1:], reference, resampling=Resampling(resamples=1_000)) is None
    )


def test_lengths() -> None:
    same = compare_lengths([1, 2, 3], [1, 2, 3])
    assert (same.distance, same.p) == (0.0, 1.0)
    other = compare_lengths([10, 20, 30], [1, 2, 3])
    assert (other.fresh_median, other.reference_median, other.distance) == (20.0, 2.0, 1.0)
    with pytest.raises(EmptyEvaluationError):
        compare_lengths([], [1])
