import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.drift.config import MonitorConfig
from lmcore.evaluation.drift.drift import (
    Compared,
    compare_bits_per_byte,
    documents_needed,
    find_arrivals,
    judge_drift,
)
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.intervals import Interval
from lmcore.evaluation.statistics.resampling import Resampling

LIMITS = MonitorConfig.model_validate({"resamples": 1_000})


def table(bits_per_byte: list[float], *, name: str = "d", num_bytes: int = 1000) -> ScoreTable:
    count = len(bits_per_byte)
    ids = [f"{name}{i}" for i in range(count)]
    return ScoreTable(
        id=ids,
        cluster=ids,
        name=ids,
        split=["validation"] * count,
        source=[0] * count,
        license=["CC0-1.0"] * count,
        num_bytes=[num_bytes] * count,
        num_tokens=[num_bytes // 2] * count,
        nll_nats=[value * num_bytes * math.log(2) for value in bits_per_byte],
        anchor=[False] * count,
    )


def interval(value: float, half_width: float, n: int = 10) -> Interval:
    return Interval(value=value, lower=value - half_width, upper=value + half_width, n=n)


def test_arrivals_are_told_apart_by_id_and_by_cluster() -> None:
    rows = [
        {"id": "a", "cluster": "a", "split": "train", "num_bytes": 1},
        {"id": "b", "cluster": "a", "split": "train", "num_bytes": 2},
        {"id": "c", "cluster": "c", "split": "excluded", "num_bytes": 4},
        {"id": "d", "cluster": "d", "split": "train", "num_bytes": 8},
        {"id": "e", "cluster": "e", "split": "validation", "num_bytes": 16},
    ]
    found = find_arrivals(rows, ids={"a"}, clusters={"a"})
    assert (found.known, found.copies, found.excluded) == (1, 1, 1)
    assert found.fresh == {"d": 8, "e": 16}
    assert found.fresh_bytes == 24


def test_the_difference_is_that_of_the_means() -> None:
    found = compare_bits_per_byte(
        table([2.0, 3.0], name="f"),
        table([1.0, 2.0, 3.0], name="r"),
        resampling=Resampling(resamples=1_000),
    )
    assert found.fresh.value == pytest.approx(2.5)
    assert found.reference.value == pytest.approx(2.0)
    assert found.difference.value == pytest.approx(0.5)
    assert found.difference.lower < 0 < found.difference.upper


def test_the_same_documents_are_paired() -> None:
    then = table([1.0, 5.0, 9.0])
    now = table([1.1, 5.1, 9.1])
    found = compare_bits_per_byte(now, then, resampling=Resampling(resamples=1_000))
    # Between documents the spread is huge, within the pairs there is none.
    assert found.difference.lower == pytest.approx(0.1)
    assert found.difference.upper == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("shift", "outcome"), [(0.5, "DRIFTED"), (-0.5, "STABLE"), (0.0, "STABLE")]
)
def test_documents_without_spread_leave_no_doubt(shift: float, outcome: str) -> None:
    fresh = table([1.0 + shift] * 20, name="f")
    found = judge_drift(fresh, table([1.0] * 20, name="r"), limits=LIMITS)
    assert found.outcome == outcome
    assert found.documents == 20
    assert found.compared is not None
    assert found.compared.difference.value == pytest.approx(shift)


def test_too_few_documents_are_inconclusive_and_say_how_many_are_needed() -> None:
    reference = table([1.0, 1.1, 0.9], name="r")
    for count in (0, 1, 9):
        found = judge_drift(table([5.0] * count, name="f"), reference, limits=LIMITS)
        assert found.outcome == "INCONCLUSIVE"
        assert found.documents_needed == LIMITS.min_documents == 10
        assert str(LIMITS.min_documents) in found.reason
        assert (found.compared is None) == (count < 2)


def test_near_copies_count_once() -> None:
    fresh = table([5.0] * 12, name="f")
    copies = ScoreTable(**{**fresh.__dict__, "cluster": ["one"] * 6 + ["two"] * 6})
    found = judge_drift(copies, table([1.0, 1.1], name="r"), limits=LIMITS)
    assert (found.outcome, found.documents) == ("INCONCLUSIVE", 2)


def test_how_many_documents_would_decide() -> None:
    # 0.05 from the limit, and the reference alone is unsure by 0.03: 0.04 is left, half of 0.08, so
    # four times as many.
    compared = Compared(
        fresh=interval(1.07, 0.08), reference=interval(1.0, 0.03), difference=interval(0.07, 0.085)
    )
    assert documents_needed(compared, limit=0.02) == 40
    # Nearer to the limit than the reference is sure: no number is enough.
    assert documents_needed(compared, limit=0.05) is None


def test_a_doubtful_difference_names_the_number_that_decides() -> None:
    fresh, reference = table([0.9, 1.2] * 6, name="f"), table([0.9, 1.1] * 200, name="r")
    found = judge_drift(fresh, reference, limits=LIMITS)
    assert found.outcome == "INCONCLUSIVE"
    assert found.documents_needed is not None
    assert found.documents_needed > 12
    assert f"about {found.documents_needed} fresh documents would decide" in found.reason


def test_text_of_the_same_law_is_hardly_ever_called_drifted() -> None:
    """At a limit of zero the error rate is the nominal 5 %; the installed limit only lowers it."""
    strict = MonitorConfig.model_validate({"resamples": 1_000, "max_increase_bits_per_byte": 0.0})
    alarms = {"strict": 0, "installed": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        fresh, reference = (
            table(list(1.4 + 0.1 * rng.standard_normal(count)), name=name)
            for count, name in ((20, "f"), (30, "r"))
        )
        for name, limits in (("strict", strict), ("installed", LIMITS)):
            alarms[name] += judge_drift(fresh, reference, limits=limits).outcome == "DRIFTED"
    # 17 of 200 is the upper 99 % bound of a rate of 5 %.
    assert alarms["strict"] <= 17
    assert alarms["installed"] <= alarms["strict"]


def test_shifted_text_is_found() -> None:
    found = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        fresh = table(list(1.6 + 0.1 * rng.standard_normal(20)), name="f")
        reference = table(list(1.4 + 0.1 * rng.standard_normal(30)), name="r")
        found += judge_drift(fresh, reference, limits=LIMITS).outcome == "DRIFTED"
    assert found >= 48


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(0.5, 3.0), min_size=10, max_size=20),
    st.lists(st.floats(0.5, 3.0), min_size=2, max_size=20),
    st.floats(0.0, 0.5),
)
def test_a_wider_tolerance_never_finds_more(
    fresh: list[float], reference: list[float], more: float
) -> None:
    tables = table(fresh, name="f"), table(reference, name="r")
    wide = LIMITS.model_copy(update={"max_increase_bits_per_byte": 0.02 + more})
    tight, loose = (judge_drift(*tables, limits=limits).outcome for limits in (LIMITS, wide))
    order = ["STABLE", "INCONCLUSIVE", "DRIFTED"]
    assert order.index(loose) <= order.index(tight)


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(EmptyEvaluationError, match="not finite"):
        judge_drift(table([math.nan] * 12, name="f"), table([1.0, 1.0], name="r"), limits=LIMITS)
