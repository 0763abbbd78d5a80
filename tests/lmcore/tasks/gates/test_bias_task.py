"""A classifier that answers men and women differently is noticed, and how sure that is."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.evaluation.config import BiasTaskLimits, GatesConfig
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.gates.bias_pairs import PAIRS, TEMPLATES, Exchanged, TaskBias
from lmcore.tasks.gates.bias_task import bias_task

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


LIMITS = GatesConfig.default().bias_task
TEMPLATE, PAIR = (
    part.ravel() for part in np.meshgrid(range(len(TEMPLATES)), range(len(PAIRS)), indexing="ij")
)


def bias(
    differences: Any, *, flips: Any = False, own: Any = (), occurrences: int = 100
) -> TaskBias:
    """Of two labels; `differences` are those of the first one by sentence, or one for all."""
    values = np.broadcast_to(np.asarray(differences, dtype=np.float64), TEMPLATE.shape)
    theirs = np.asarray(own, dtype=np.float64)
    return TaskBias(
        labels=("bad", "good"),
        differences=np.stack([values, -values], axis=1),
        flips=np.broadcast_to(np.asarray(flips), TEMPLATE.shape),
        template=TEMPLATE,
        pair=PAIR,
        occurrences=occurrences,
        own=Exchanged(
            differences=np.stack([theirs, -theirs], axis=1),
            flips=np.abs(theirs) > 0.5,
            cluster=np.array([f"c{n}" for n in range(len(theirs))], dtype=object),
        ),
    )


def judge(found: TaskBias | None, *, required: bool = True, **limits: Any) -> GateResult:
    return bias_task(
        found,
        limits=BiasTaskLimits.model_validate({**LIMITS.model_dump(), **limits}),
        required=required,
        resampling=Resampling(resamples=1000),
    )


def test_no_difference_passes_and_a_large_one_fails_either_way() -> None:
    alike = judge(bias(0.0))
    assert (alike.outcome, alike.value, alike.limit) == ("PASS", 0, 0.02)
    for size in (0.1, -0.1):
        found = judge(bias(size))
        assert found.outcome == "FAIL"
        assert abs(found.value) == pytest.approx(0.1)
    assert judge(bias(0.0, flips=True)).outcome == "PASS"  # 51 to 49 % is hardly another answer
    assert judge(bias(0.0, flips=True), min_flip_change=0.0).outcome == "FAIL"


def test_what_is_within_the_noise_is_inconclusive() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, len(TEMPLATES))[TEMPLATE]
    found = judge(bias(noise - noise.mean()))
    assert found.outcome == "INCONCLUSIVE"
    assert found.lower < -0.02 < 0 < 0.02 < found.upper


def test_the_users_own_texts_are_judged_where_there_are_enough() -> None:
    few = judge(bias(0.0, own=[0.6] * 59))
    assert few.outcome == "PASS"
    assert len(few.evidence["by_kind"]) == 1
    many = judge(bias(0.0, own=[0.6] * 60))
    assert many.outcome == "FAIL"
    assert many.value == pytest.approx(0.6)
    assert "in 60 held-out texts with such words exchanged" in many.reason
    kinds = {name: kind["outcome"] for name, kind in many.evidence["by_kind"].items()}
    assert list(kinds.values()) == ["PASS", "FAIL"]


def test_a_text_that_hardly_speaks_of_people_is_not_judged() -> None:
    found = judge(bias(0.1, occurrences=19))
    assert found.outcome == "SKIPPED"
    assert "speaks of women and men 19 times, and 20 are needed" in found.reason
    assert judge(bias(0.1, occurrences=20)).outcome == "FAIL"
    other_task = judge(None)
    assert (other_task.outcome, other_task.reason) == (
        "SKIPPED",
        "Only classifiers are asked this.",
    )


@pytest.mark.parametrize(
    ("blocks", "difference", "required"),
    [
        ("sure", 0.1, True),
        ("sure", 0.0, False),
        ("unsure", 0.1, True),
        ("unsure", 0.0, True),
        ("never", 0.1, False),
        ("never", 0.0, False),
    ],
)
def test_what_blocks_a_promotion_is_configured(
    blocks: str, difference: float, required: bool
) -> None:
    assert judge(bias(difference), required=False, blocks=blocks).required is required
    assert judge(bias(difference), required=True, blocks=blocks).required


def test_each_pair_of_words_stands_in_the_evidence() -> None:
    of_her = np.where(PAIR == 0, 0.24, 0.0)
    found = judge(bias(of_her))
    (first, second, *_) = found.evidence["by_pair"]
    assert first == {
        "pair": "she / he",
        "differences": {"bad": pytest.approx(0.24), "good": pytest.approx(-0.24)},
    }
    assert second["differences"] == {"bad": 0, "good": 0}
    assert found.value == pytest.approx(0.02)  # one pair in twelve


@settings(max_examples=15, deadline=None)
@given(
    st.floats(-0.1, 0.1),
    st.floats(0, 0.1),
    st.floats(0.01, 0.2),
    st.floats(0.1, 1),
    st.integers(0, 99),
)
def test_a_tighter_limit_never_passes_more(
    mean: float, spread: float, limit: float, factor: float, seed: int
) -> None:
    noise = np.random.default_rng(seed).normal(mean, spread, len(TEMPLATES))
    found = bias(noise[TEMPLATE], flips=noise[TEMPLATE] > 0.1)
    tight = judge(found, max_difference=limit * factor, max_flip_rate=0.2 * factor)
    loose = judge(found, max_difference=limit, max_flip_rate=0.2)
    order = ["FAIL", "INCONCLUSIVE", "PASS"]
    assert order.index(tight.outcome) <= order.index(loose.outcome)


def test_what_cannot_be_told_names_what_would() -> None:
    rng = np.random.default_rng(2)
    found = bias_task(
        bias(rng.normal(0.019, 0.02, len(TEMPLATES))[TEMPLATE]),
        limits=LIMITS,
        required=False,
        resampling=Resampling(resamples=1000),
    )
    assert found.outcome == "INCONCLUSIVE"
    need = found.evidence["needs"]
    assert need["count"] is None or need["count"] > need["have"]
