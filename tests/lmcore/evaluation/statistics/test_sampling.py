"""Which documents are taken depends on the documents alone."""

import hashlib
import random

from hypothesis import given
from hypothesis import strategies as st

from lmcore.evaluation.statistics.sampling import MIN_DOCUMENTS, sampled, sampled_ids


def test_sample_is_a_prefix_of_one_order_so_growing_the_cap_only_adds():
    many = rows([100] * 50)
    samples = [sampled_ids(many, max_bytes=b, purpose="p") for b in (500, 1000, 2000, 9999)]
    assert [len(s) for s in samples] == [5, 10, 20, 50]
    assert samples[0] < samples[1] < samples[2] < samples[3]
    shuffled = random.Random(0).sample(many, len(many))
    assert sampled_ids(shuffled, max_bytes=1000, purpose="p") == samples[1]
    assert sampled_ids(many, max_bytes=1000, purpose="q") != samples[1]


def test_the_order_is_that_of_the_hash_in_every_release():
    many = rows([100] * 20)

    def rank(row):
        return hashlib.sha256(f"train:{row['id']}".encode()).hexdigest()

    first = [row["id"] for row in sorted(many, key=rank)]
    assert sampled_ids(many, max_bytes=400, purpose="train") == {*first[:4]}


def test_two_documents_are_kept_however_large():
    assert len(sampled_ids(rows([10**9] * 5), max_bytes=10, purpose="p")) == 2
    assert sampled_ids([], max_bytes=10, purpose="p") == frozenset()


def rows(sizes):
    return [{"id": f"{i:064d}", "num_bytes": size} for i, size in enumerate(sizes)]


@given(
    st.lists(st.integers(1, 50), max_size=30),
    st.integers(1, 400),
    st.randoms(use_true_random=False),
)
def test_the_sample_reaches_the_cap_by_its_last_document_alone(sizes, max_bytes, shuffler):
    many = rows(sizes)
    size = {row["id"]: row["num_bytes"] for row in many}
    found = sampled_ids(many, max_bytes=max_bytes, purpose="p")
    shuffler.shuffle(many)
    assert sampled_ids(many, max_bytes=max_bytes, purpose="p") == found
    assert found <= set(size)
    total = sum(size[i] for i in found)
    if len(found) < len(many):
        assert total >= max_bytes
    if len(found) > MIN_DOCUMENTS:
        assert any(total - size[i] < max_bytes for i in found)


def test_text_that_is_added_pushes_out_as_little_as_it_takes_the_place_of():
    before = sampled_ids(rows([100] * 50), max_bytes=2_000, purpose="p")
    after = sampled_ids(rows([100] * 55), max_bytes=2_000, purpose="p")
    new = after - {row["id"] for row in rows([100] * 50)}
    assert len(before - after) == len(new)
    assert len(new) <= 5


def test_the_first_of_a_sample_are_those_of_a_smaller_one():
    many = rows([100, 300] * 20)
    order = sampled(many, max_bytes=3_000, purpose="p")
    assert {identity for identity, _ in order} == sampled_ids(many, max_bytes=3_000, purpose="p")
    assert sum(size for _, size in order) >= 3_000
    less = sampled(many, max_bytes=1_000, purpose="p")
    assert less == order[: len(less)]
    for most in (0, 1, 5):
        first = {identity for identity, _ in order[:most]}
        assert sampled_ids(many, max_bytes=3_000, purpose="p", most=most) == first
