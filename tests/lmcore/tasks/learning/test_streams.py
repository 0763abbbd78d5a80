"""A stream holds source and target, and counts the target."""

from collections.abc import Callable

from lmcore.tasks.learning.examples import Example
from lmcore.tasks.learning.streams import stream_batch

Make = Callable[..., Example]


def test_a_stream_counts_the_target_and_no_padding(example: Make) -> None:
    batch = stream_batch(
        [example([1, 2], [3]), example([4], [5, 6], cut=True)],
        end_id=9,
        separator=10,
        source_weight=0.25,
    )
    assert batch.inputs.tolist() == [[9, 1, 2, 10, 3], [9, 4, 10, 5, 6]]
    assert batch.targets.tolist() == [[1, 2, 10, 3, 9], [4, 10, 5, 6, 9]]
    assert batch.weights is not None
    # The end behind a target that was cut counts nothing.
    assert batch.weights.tolist() == [[0.25, 0.25, 0.25, 1, 1], [0.25, 0.25, 1, 1, 0]]
    alone = stream_batch([example([1], [2])], end_id=9, separator=10, source_weight=0.0)
    assert alone.inputs.tolist() == [[9, 1, 10, 2]]


def test_the_separator_may_be_any_token(example: Make) -> None:
    batch = stream_batch(
        [example([5], [6, 7]), example([5, 5], [])], end_id=0, separator=3, source_weight=0.0
    )
    # Padding is another token than the end, which would start a document.
    assert batch.inputs.tolist() == [[0, 5, 3, 6, 7], [0, 5, 5, 3, 1]]
    assert batch.targets.tolist() == [[5, 3, 6, 7, 0], [5, 5, 3, 0, 1]]
    assert batch.weights is not None
    assert batch.weights.tolist() == [[0, 0, 1, 1, 1], [0, 0, 0, 1, 0]]
