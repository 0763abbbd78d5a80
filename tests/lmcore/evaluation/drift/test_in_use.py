"""What is asked, what is right in use, and what another version makes of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from language_models import language_model

from lmcore.data.requests.lines import Asked, Beside, Feedback
from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.evaluation.drift.config import MonitorConfig
from lmcore.evaluation.drift.in_use import (
    beginnings,
    drift_of_requests,
    read_along,
    right_in_use,
)
from lmcore.evaluation.statistics.intervals import Interval

LIMITS = MonitorConfig.model_validate({"resamples": 1_000, "min_feedback": 30})
AT = "2026-11-28T10:00:00+00:00"


def asked(text: str) -> Asked:
    return Asked(
        id="a", index=0, at=AT, client="c", version=1, task="language_modelling", text=text
    )


def said(number: int, right: bool) -> Feedback:
    return Feedback(
        id=str(number),
        index=0,
        at=AT,
        client="c",
        version=1,
        task="sentiment",
        text=f"text {number}",
        output="good",
        rating="up" if right else "down",
        accepted="good" if right else None,
    )


def beside(identity: str, **changes: Any) -> Beside:
    values: dict[str, Any] = {
        "id": identity,
        "index": 0,
        "at": AT,
        "task": "language_modelling",
        "version": 1,
        "shadow": 2,
        "num_bytes": 10,
    }
    return Beside(**{**values, **changes})


def test_beginnings_have_the_sizes_of_the_requests() -> None:
    assert beginnings(["abcdef", "xyz"], [2, 2, 4, 9]) == [
        (0, "ab"),
        (1, "xy"),
        (0, "abcd"),
        (1, "xyz"),
    ]
    # A character of three bytes is not cut in two, and nothing is no beginning.
    assert beginnings(["€€"], [4, 2]) == [(0, "€")]


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1), st.lists(st.integers(1, 30)))
def test_a_beginning_is_a_beginning(texts: list[str], sizes: list[int]) -> None:
    found = beginnings(texts, sizes)
    assert len(found) <= len(sizes)
    assert all(texts[place].startswith(text) for place, text in found)


def test_like_text_is_no_drift_and_strange_text_is() -> None:
    codec = ByteTokenizer()
    model = language_model("scratch", vocab_size=codec.vocab_size, end_id=codec.end_id)
    model.eval()
    held = [f"The house {number} stands by the water and the road." for number in range(40)]
    same = [asked(text[:30]) for text in held]
    found = drift_of_requests(model, codec, [*same, *same], held, limits=LIMITS)
    assert found.documents == 40
    assert found.compared is not None
    # The very beginnings: the same bits on both sides.
    assert found.compared.difference.value == pytest.approx(0.0, abs=1e-6)
    assert "on 40 requests than on beginnings of its held-out documents" in found.reason
    few = drift_of_requests(model, codec, same[:3], held, limits=LIMITS)
    assert few.outcome == "INCONCLUSIVE"
    assert few.reason == (
        "3 requests are too few to tell; at least 10 are needed (repeats count once)."
    )
    none = drift_of_requests(model, codec, [], held, limits=LIMITS)
    assert none.reason == "Nothing that was asked is kept; 10 are needed to tell."


@pytest.mark.parametrize(
    ("right", "wrong", "outcome"),
    [(190, 10, "STABLE"), (100, 100, "DRIFTED"), (26, 6, "INCONCLUSIVE"), (9, 0, "INCONCLUSIVE")],
)
def test_right_in_use_is_held_against_the_accuracy(right: int, wrong: int, outcome: str) -> None:
    lines = [said(number, number < right) for number in range(right + wrong)]
    accuracy = Interval(value=0.9, lower=0.88, upper=0.92, n=1000)
    found = right_in_use(lines, accuracy, limits=LIMITS)
    assert found.outcome == outcome
    if right + wrong >= 30:
        assert found.in_use is not None
        assert found.in_use.value == pytest.approx(right / (right + wrong))


def test_the_last_word_on_a_text_counts() -> None:
    found = right_in_use([said(1, True), said(2, True), said(1, False)], None, limits=LIMITS)
    assert found.in_use is not None
    assert (found.in_use.value, found.in_use.n) == (0.5, 2)
    assert "too few to tell" in found.reason
    assert right_in_use([], None, limits=LIMITS).in_use is None


def test_a_shadow_is_paired_with_who_answered() -> None:
    lines = [beside(f"r{i}", bits=(20.0 + i, 15.0 + i)) for i in range(20)]
    (found,) = read_along([*lines, beside("other", shadow=3)], shadow=2)
    assert (found.version, found.requests) == (1, 20)
    assert found.bits_per_byte is not None
    # Five bits fewer in ten bytes, each time.
    assert found.bits_per_byte.value == pytest.approx(-0.5)
    assert found.bits_per_byte.upper < 0
    assert found.same is None
    assert read_along(lines, shadow=9) == []


def test_a_shadow_of_a_task_is_held_against_what_people_said() -> None:
    lines = [
        beside(f"r{i}", task="sentiment", outputs=("bad", "good"), same=False) for i in range(6)
    ]
    lines += [
        beside(f"s{i}", task="sentiment", outputs=("bad", "bad"), same=True) for i in range(2)
    ]
    truths = {(f"r{i}", 0): "good" for i in range(4)} | {("s0", 0): "good"}
    (found,) = read_along(lines, shadow=2, truths=truths)
    assert found.same is not None
    assert found.same.value == pytest.approx(0.25)
    assert found.right is not None
    assert found.right.value == pytest.approx(4 / 5)
    assert found.right.n == 5
