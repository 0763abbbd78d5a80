from typing import Any

from flows.home.environment import Home
from flows.registry.connection import connect
from flows.registry.monitor_results import (
    TAG,
    answer_to,
    experiment_name,
    log_monitoring,
    monitor_results,
)
from flows.registry.runs import list_runs
from flows.registry.tracking import open_run


def compared(fresh: float, reference: float) -> dict[str, dict[str, float]]:
    def around(value: float) -> dict[str, float]:
        return {"value": value, "lower": value - 0.125, "upper": value + 0.125}

    return {
        "fresh": around(fresh),
        "reference": around(reference),
        "difference": around(fresh - reference),
    }


def answer(at: str, **changes: Any) -> dict[str, Any]:
    return {
        "model": "stories",
        "champion": 3,
        "at": at,
        "outcome": "DRIFTED",
        "reason": "0.5 bits per byte worse",
        "limit": 0.25,
        "documents": {"fresh": 7},
        "bits_per_byte": compared(2.0, 1.5),
        "tokens_per_byte": compared(0.5, 0.25),
        "unseen_words": None,
        **changes,
    }


def test_answers_come_back_whole_and_in_the_order_of_time(home: Home) -> None:
    later, earlier = (
        answer("2026-03-02T10:00:00.000+00:00"),
        answer("2026-03-01T10:00:00.000+00:00"),
    )
    runs = [log_monitoring(home, given, key="k") for given in (later, earlier)]
    assert monitor_results(home, "stories") == [
        {**earlier, "mlflow_run_id": runs[1]},
        {**later, "mlflow_run_id": runs[0]},
    ]
    assert monitor_results(home, "tales") == []


def test_figures_are_metrics_and_what_was_not_measured_is_none(home: Home) -> None:
    run = connect(home).get_run(
        log_monitoring(home, answer("2026-03-01T10:20:30.000+00:00"), key="k")
    )
    assert run.info.run_name == "stories 2026-03-01 10:20 drifted"
    assert run.data.tags["outcome"] == "DRIFTED"
    assert run.data.metrics == {
        "limit_bits_per_byte": 0.25,
        "fresh_documents": 7.0,
        "fresh_bits_per_byte": 2.0,
        "reference_bits_per_byte": 1.5,
        "difference_bits_per_byte": 0.5,
        "difference_bits_per_byte_lower": 0.375,
        "difference_bits_per_byte_upper": 0.625,
        "fresh_tokens_per_byte": 0.5,
        "reference_tokens_per_byte": 0.25,
        "difference_tokens_per_byte": 0.25,
        "difference_tokens_per_byte_lower": 0.125,
        "difference_tokens_per_byte_upper": 0.375,
    }


def test_what_is_not_an_answer_of_this_model_is_left_out(home: Home) -> None:
    kept = log_monitoring(home, answer("2026-03-01T10:00:00.000+00:00"), key="k")
    for number, text in enumerate(("{", "[]", '{"model": "tales"}')):
        with open_run(
            home, model=experiment_name("stories"), run_key=f"k{number}", name="edited"
        ) as run:
            run.set_tags({TAG: text})
    cut_off = open_run(home, model=experiment_name("stories"), run_key="k", name="killed")
    cut_off.set_tags({TAG: '{"model": "stories"}'})
    assert [found["mlflow_run_id"] for found in monitor_results(home, "stories")] == [kept]


def test_monitoring_is_no_run_of_the_model(home: Home) -> None:
    log_monitoring(home, answer("2026-03-01T10:00:00.000+00:00"), key="k")
    assert list_runs(home, model="stories") == []


def test_the_last_answer_answers_the_same_again_unless_it_was_edited(home: Home) -> None:
    assert answer_to(home, "stories", key="a") is None
    first = answer("2026-03-01T10:00:00.000+00:00")
    run_id = log_monitoring(home, first, key="a")
    assert answer_to(home, "stories", key="a") == {**first, "mlflow_run_id": run_id}
    assert answer_to(home, "stories", key="b") is None
    last = log_monitoring(home, answer("2026-03-02T10:00:00.000+00:00"), key="b")
    assert answer_to(home, "stories", key="a") is None
    assert answer_to(home, "stories", key="b") is not None
    text = connect(home).get_run(last).data.tags[TAG]
    connect(home).set_tag(last, TAG, text.replace("DRIFTED", "STABLE"))
    assert answer_to(home, "stories", key="b") is None
