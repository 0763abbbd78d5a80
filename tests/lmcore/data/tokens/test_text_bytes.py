import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmcore.data.tokens.text_bytes import own_bytes


@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=30), num_bytes=st.integers(0, 300))
def test_lengths_sum_to_those_of_the_text(sizes: list[int], num_bytes: int) -> None:
    found = own_bytes(np.array(sizes, dtype=np.int64), num_bytes)
    assert (found >= 0).all()
    assert found.sum() == (num_bytes if sum(sizes) else 0)


def test_a_space_before_the_text_is_no_part_of_it() -> None:
    assert own_bytes(np.array([4, 4, 1]), 8).tolist() == [3, 4, 1]
    assert own_bytes(np.array([1, 4]), 4).tolist() == [0, 4]


def test_what_was_changed_is_shared_out() -> None:
    assert own_bytes(np.array([2, 2, 4]), 16).tolist() == [4, 4, 8]
    assert own_bytes(np.array([3, 0]), 3).tolist() == [3, 0]
