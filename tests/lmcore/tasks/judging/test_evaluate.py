"""The evaluation step of a task: metrics, tables, gates and a verdict."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lmcore.evaluation.inputs import Challenge
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.tasks.base_model import BaseModel
from lmcore.tasks.judging.classification import classify
from lmcore.tasks.judging.evaluate import PREDICTIONS_FILE, evaluate_task, task_metrics
from lmcore.tasks.task import SENTIMENT


def outcomes(report: Any) -> dict[str, str]:
    return {gate.gate: gate.outcome for gate in report.verdict().results}


@pytest.mark.slow
def test_a_classifier_learns_and_is_judged_beside_its_baselines(reviewed: Any) -> None:
    bench, config, checkpoint = reviewed.bench, reviewed.config, reviewed.checkpoint
    report = bench.judge(config, checkpoint)
    metrics = report.metrics()
    assert metrics["accuracy"]["value"] > 0.9
    assert metrics["baseline_accuracy"]["value"] > 0.9
    assert metrics["baseline_majority_accuracy"]["value"] < 0.65
    assert metrics["baseline_words_accuracy"]["value"] > 0.9
    assert {"macro_f1", "baseline_macro_f1", "calibration_error", "params"} <= set(metrics)
    found = outcomes(report)
    assert tuple(found) == SENTIMENT.gates
    assert metrics[SENTIMENT.deciding.name]["unit"] == SENTIMENT.deciding.unit
    assert {found[g] for g in ("instrument", "provenance", "competence", "overfitting")} == {"PASS"}
    assert found["champion"] == "SKIPPED"
    captions = [table["caption"][:9] for table in report.tables()]
    assert captions == ["Confusion", "By label", "How much ", "Texts tha"]
    account = report.account()
    assert account["truncation"]["judged texts cut"] == 0
    assert account["training examples"]["sources cut"] == 0
    assert account["training examples"]["examples"] > 300
    assert account["training examples"]["source"].endswith("tokens")
    assert set(account["classes"]) == {"positive", "negative"}
    assert checkpoint.summary["adaptation"]["steps"] == 80
    maps = report.attention()
    assert [entry["kind"] for entry in maps] == ["best", "median", "worst"]
    for entry in maps:
        assert entry["readers"] == ["at the end", "on average"]
        assert entry["words"][0] == "(start)"
        assert {"said", "that", "number", "and"} <= set(entry["words"])
        assert [sum(row) for row in entry["shares"]] == pytest.approx([1, 1], abs=0.01)


def test_the_same_challenge_is_not_evaluated_twice_and_answers_are_kept(reviewed: Any) -> None:
    first = reviewed.bench.judge(reviewed.config, reviewed.checkpoint)
    again = reviewed.bench.judge(reviewed.config, reviewed.checkpoint)
    assert again.path == first.path
    answers = pq.read_table(first.path / PREDICTIONS_FILE).to_pydict()
    judged = list(reviewed.corpus.documents.iter_documents("validation"))
    assert len(judged) == first.summary["documents"]
    assert sorted(answers["id"]) == sorted(d.id for d in judged)
    right = {d.id: d.target for d in judged}
    outputs = dict(zip(answers["id"], answers["output"], strict=True))
    share = sum(outputs[identity] == right[identity] for identity in right) / len(right)
    assert share == pytest.approx(first.metrics()["accuracy"]["value"])


def test_what_a_base_model_should_have_forgotten_blocks_its_offspring(reviewed: Any) -> None:
    base = BaseModel(
        **{"model": "letters", "version": 3, "key": "k", "removed": 2},
        **{"weights": Path("none"), "tokenizer": Path("none")},
    )
    report = evaluate_task(
        reviewed.bench.store,
        reviewed.corpus,
        challenge=Challenge(checkpoint=reviewed.checkpoint),
        base=base,
        gates=reviewed.config.gates,
    )
    gate = next(g for g in report.verdict().results if g.gate == "provenance")
    assert gate.outcome == "FAIL"
    assert gate.reason.startswith("The weights start from letters version 3, which was trained on")
    assert "on 2 documents that were removed since; train a version of that model" in gate.reason
    assert "prepare the data again" not in gate.reason
    assert (gate.evidence["base"], gate.evidence["base_removed_documents"]) == (
        "letters version 3",
        2,
    )
    assert not report.summary["passed"]


def test_speed_and_size_are_metrics_without_bounds(reviewed: Any) -> None:
    found = task_metrics(
        classify(reviewed.judging()),
        {"train_tokens_per_second": 12, "params": 34},
        resampling=Resampling(resamples=1000),
    )
    assert found["params"] == {
        **{"value": 34.0, "lower": None, "upper": None},
        **{"unit": "parameters", "n": 1},
    }
    assert found["train_tokens_per_second"]["unit"] == "tokens/s"
    assert found["calibration_error"]["n"] == found["accuracy"]["n"] > 100
    bounds = found["accuracy"]
    assert 0 <= bounds["lower"] <= bounds["value"] <= bounds["upper"] <= 1
