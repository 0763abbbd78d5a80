import math

import pytest

from lmcore.training.progress import Progress


def test_patience_counts_looks_without_gain() -> None:
    progress = Progress(step=1)
    values = [2.0, 1.9, 1.95, 1.8999, 1.91]
    seen = []
    for step, value in enumerate(values, start=1):
        progress = progress.changed(step=step).after_look(value, patience=3)
        seen.append((progress.best_step, progress.looks_without_gain, progress.stopped_early))
    # 1.8999 is better, so it is kept, but not by enough to be worth waiting for.
    assert seen == [(1, 0, False), (2, 0, False), (2, 1, False), (4, 2, False), (4, 3, True)]
    assert progress.best_bits_per_byte == 1.8999
    assert progress.last_bits_per_byte == 1.91


def test_a_look_that_is_not_finite_is_never_the_best() -> None:
    progress = Progress(step=4).after_look(math.nan, patience=9)
    assert (progress.best_step, progress.last_bits_per_byte) == (-1, None)


@pytest.mark.parametrize(
    ("loss", "norm", "expected"),
    [
        (math.nan, 1.0, True),
        (math.inf, 1.0, True),
        (3.0, math.nan, True),
        (3.0, math.inf, True),
        (3.0, 1e6, False),
        (8.0, 1.0, False),
        (14.0, 1.0, True),
    ],
)
def test_divergence_of_one_step(loss: float, norm: float, expected: bool) -> None:
    progress = Progress().after_step(3.0, seconds=0.1)
    assert progress.diverged(loss, grad_norm=norm, vocab_size=256) is expected


def test_a_spike_is_forgiven_and_a_plateau_is_not() -> None:
    progress = Progress()
    for _ in range(50):
        progress = progress.after_step(2.0, seconds=0.1)
    spike = progress.after_step(9.0, seconds=0.1)
    assert not spike.diverged(9.0, grad_norm=1.0, vocab_size=256)
    for _ in range(20):
        progress = progress.after_step(6.0, seconds=0.1)
    assert progress.diverged(6.0, grad_norm=1.0, vocab_size=256)


def test_counts() -> None:
    progress = Progress().after_step(2.0, seconds=0.5).after_step(4.0, seconds=0.25)
    assert (progress.step, progress.interval_nats, progress.interval_steps) == (2, 6.0, 2)
    assert progress.seconds == progress.step_seconds == 0.75
    assert progress.smooth_loss == pytest.approx(0.95 * 2.0 + 0.05 * 4.0)
