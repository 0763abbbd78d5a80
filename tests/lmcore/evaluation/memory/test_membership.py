import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.memory.membership import Membership, PassageBook, auc_interval

SCORES = st.lists(st.integers(-3, 3), min_size=2, max_size=12)


@given(SCORES, SCORES)
def test_the_auc_counts_pairs_and_half_of_the_ties(first, second):
    found = auc_interval(first, range(len(first)), second, range(len(second)))
    pairs = list(itertools.product(first, second))
    expected = sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs)
    assert found.value == pytest.approx(expected)
    assert 0 <= found.lower <= found.value + 1e-12
    assert found.value - 1e-12 <= found.upper <= 1
    turned = auc_interval(second, range(len(second)), first, range(len(first)))
    assert turned.value == pytest.approx(1 - expected)
    assert turned.lower == pytest.approx(1 - found.upper)


def test_standard_error_of_independent_passages_is_that_of_delong():
    # Placements of 1, 2 among 0, 3: 1/2 each; of 0, 3 among 1, 2: 1 and 0. So S10 = 0, S01 = 1/2.
    found = auc_interval([1, 2], [0, 1], [0, 3], [0, 1])
    assert found.value == 0.5
    assert (found.lower, found.upper) == (0.0, 1.0)  # one degree of freedom: no statement
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, 500), rng.normal(0, 1, 500)
    found = auc_interval(x, range(500), y, range(500))
    # Hanley and McNeil at 0.5: sqrt((m + n + 1) / 12 m n).
    assert (found.upper - found.lower) / 2 / 1.646 == pytest.approx(0.01827, rel=0.03)


def test_copies_of_a_passage_in_its_cluster_make_nothing_surer():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.2, 1, 40), rng.normal(0, 1, 40)
    once = auc_interval(x, range(40), y, range(40))
    copied = auc_interval(np.repeat(x, 9), np.repeat(range(40), 9), y, range(40))
    assert copied.value == pytest.approx(once.value)
    assert copied.upper == pytest.approx(once.upper)
    loose = auc_interval(np.repeat(x, 9), range(360), np.repeat(y, 9), range(360))
    assert loose.upper < once.upper


def test_one_document_or_a_broken_score_is_no_evidence():
    with pytest.raises(EmptyEvaluationError, match="at least 2"):
        auc_interval([1.0, 2.0], [0, 0], [1.0, 2.0], [0, 1])
    with pytest.raises(EmptyEvaluationError, match="not finite"):
        auc_interval([1.0, np.nan], [0, 1], [1.0, 2.0], [0, 1])


def book(size, sizes, nats, **options):
    made = PassageBook(num_bytes=size)
    made.add("c", sizes=np.array(sizes), nats=np.array(nats, dtype=np.float32), **options)
    return made.passages()


def test_passages_are_cut_at_tokens_and_lose_nothing():
    # Ten tokens of 3 bytes, passages of about 12: edges at the token that crosses 12 and 24 bytes.
    found = book(12, [3] * 10, range(10))
    assert found.start.tolist() == [0, 9, 21]
    assert found.stop.tolist() == [9, 21, 30]
    assert found.nats.tolist() == [0 + 1 + 2, 3 + 4 + 5 + 6, 7 + 8 + 9]
    assert found.bits_per_byte()[0] == pytest.approx(3 / 9 / np.log(2))


def test_only_passages_that_were_consumed_as_a_whole_are_members():
    counted = np.array([True] * 7 + [False] + [True] * 3)
    found = book(12, [3] * 10, range(10), counted=counted)
    assert found.start.tolist() == [0, 9]


def test_a_short_document_is_one_passage():
    assert len(book(1000, [2, 3], [1.0, 2.0, 9.0])) == 1
    assert len(book(1000, [], [9.0])) == 0


@given(
    st.lists(st.integers(0, 9), max_size=80), st.integers(5, 40), st.randoms(use_true_random=False)
)
def test_passages_do_not_overlap_and_their_reference_is_their_bytes(sizes, size, random):
    nats = [random.random() for _ in range(len(sizes) + 1)]
    found = book(size, sizes, nats)
    assert (found.start[1:] >= found.stop[:-1]).all()
    total = sum(sizes)
    each = [np.arange(total + 1, dtype=float)]
    expected = [
        sum(range(a, b)) / (b - a) / np.log(2) for a, b in zip(found.start, found.stop, strict=True)
    ]
    assert found.reference_bits_per_byte(each) == pytest.approx(expected)
    if total:
        assert total - (found.stop - found.start).sum() <= size


def test_what_the_reference_explains_is_taken_out():
    """Members that are easier text, and no better known, are no members to the eye."""
    rng = np.random.default_rng(2)

    def side(shift, gain):
        made, hardness = PassageBook(num_bytes=10), []
        for document in range(60):
            hard = rng.normal(2 + shift, 0.5)
            hardness.append(np.full(11, hard * np.log(2)))
            nats = np.full(10, (hard - gain) * np.log(2) + rng.normal(0, 0.02))
            made.add(f"{shift}{document}", sizes=np.ones(10, dtype=int), nats=nats)
        found = made.passages()
        return found, found.reference_bits_per_byte(hardness)

    def auc(shift, gain):
        members, reference = side(shift, gain)
        others, other = side(0.0, 0.0)
        made = Membership(
            members=members, others=others, member_reference=reference, other_reference=other
        )
        return made.auc()

    assert auc(shift=-0.5, gain=0.0).upper < 0.65
    assert auc(shift=-0.5, gain=0.2).lower > 0.95
    assert auc(shift=+0.5, gain=0.2).lower > 0.95
