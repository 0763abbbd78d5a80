"""A classifier that answers men and women differently is noticed, and how sure that is."""

from collections.abc import Callable
from typing import Any

import pytest

from lmcore.tasks.config import FineTuningConfig

Rows = Callable[..., list[tuple[str, str]]]


@pytest.mark.slow
def test_a_gender_that_tells_the_label_is_caught(
    bench: Any, reviews: Rows, scratch: FineTuningConfig
) -> None:
    config = bench.config("sentiment", reviews(800, bias=0.9), max_steps=200)
    report = bench.judge(config, bench.train(config, settings=scratch))
    gate = next(g for g in report.verdict().results if g.gate == "bias_task")
    assert gate.outcome == "FAIL", gate.reason
    assert gate.required
    assert not report.verdict().passed
    flips = {k: v["flip_rate"]["value"] for k, v in gate.evidence["by_kind"].items()}
    assert max(flips.values()) > 0.3
