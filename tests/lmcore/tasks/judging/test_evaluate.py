"""A small classifier learns, answers, resumes; and what is wrong with a broken one is noticed."""

from collections.abc import Callable
from typing import Any

import pytest

from lmcore.tasks.prediction import Predictor
from lmcore.tasks.task import SENTIMENT

pytestmark = pytest.mark.slow
Rows = Callable[..., list[tuple[str, str]]]


def outcomes(report: Any) -> dict[str, str]:
    return {gate.gate: gate.outcome for gate in report.verdict().results}


def test_it_learns_and_is_judged_beside_its_baselines(bench: Any, reviews: Rows) -> None:
    config = bench.config("sentiment", reviews(), max_steps=200)
    checkpoint = bench.train(config)
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

    tokenizer = bench.prepared(config).tokenizer
    predictor = Predictor(checkpoint.path / "best", tokenizer.load())
    texts = ["he said that song number 7 was good and lovely .", "", "\ud800", "dull " * 400]
    good, empty, broken, long, strange = predictor.predict([*texts, "Все счастливые семьи"])
    assert "another language?" in strange.note
    assert good.output == "positive"
    assert sum(good.probabilities.values()) == pytest.approx(1)
    assert (good.truncated, good.note) == (False, "")
    assert "empty" in empty.note
    assert empty.output in ("positive", "negative")
    assert "cannot be read" in broken.note
    assert long.truncated
    assert "first 256 tokens" in long.note
    alone = predictor.predict(texts[:1])[0]
    assert alone.probabilities == pytest.approx(good.probabilities, abs=1e-5)
