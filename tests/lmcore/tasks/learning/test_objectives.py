"""What is minimised: batches of both kinds of task, which layers may learn, and looks."""

import numpy as np
import pytest
import torch

from lmcore.tasks.learning import objectives
from lmcore.tasks.learning.examples import Example
from lmcore.tasks.learning.objectives import count_words, stream_batch


def example(source: list[int], target: list[int], *, cut: bool = False) -> Example:
    return Example(
        source=np.array(source, dtype=np.int32),
        target=np.array(target, dtype=np.int32),
        truncated=False,
        target_truncated=cut,
    )


def test_a_stream_counts_the_target_and_no_padding() -> None:
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


# Each token is a word.
PIECES = [*(f" word{chr(97 + n)}".encode() for n in range(9)), b""]


def test_of_too_much_text_every_class_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectives, "_COUNTED_TOKENS", 60)
    examples = [example([label, 5], []) for label in (0, 1) for _ in range(100)]
    model = count_words(examples, [0] * 100 + [1] * 100, num_labels=2, pieces=PIECES, end_id=9)
    first, second = model.scores(torch.tensor([[9, 0], [9, 1]]), torch.ones(2, 2))
    assert first[0] > first[1]
    assert second[1] > second[0]
