"""Documents become tokens, and every one is read once an epoch."""

import numpy as np

from lmcore.tasks.learning.examples import ExampleOrder


def test_every_example_is_read_once_an_epoch_in_an_order_that_the_step_decides() -> None:
    lengths = [i % 17 + 1 for i in range(103)]
    first, again = (ExampleOrder(lengths, batch_size=8, seed=1, fingerprint="f") for _ in range(2))
    assert first.steps_per_epoch == 13
    for epoch in range(2):
        steps = range(13 * epoch, 13 * (epoch + 1))
        assert sorted(int(i) for s in steps for i in first.members(s)) == list(range(103))
    assert again.members(20).tolist() == first.members(20).tolist()
    assert again.members(0).tolist() == first.members(0).tolist()
    # Batches gather examples of similar length.
    spread = [np.ptp([lengths[i] for i in first.members(s)]) for s in range(13)]
    assert np.mean(spread) < 4
