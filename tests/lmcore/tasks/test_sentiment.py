"""A small classifier learns, answers, resumes; and what is wrong with a broken one is noticed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from lmcore.errors import SourceError
from lmcore.evaluation.inputs import ChampionInput
from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.learning.class_scores import class_logits
from lmcore.tasks.learning.classifier import TextClassifier, load_classifier
from lmcore.tasks.learning.stage import Stage
from lmcore.tasks.prediction import Predictor
from lmcore.tasks.task import SENTIMENT
from lmcore.training.events import TrainingInterrupted

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


def test_a_label_in_the_text_is_caught(
    bench: Any, reviews: Rows, scratch: FineTuningConfig
) -> None:
    rows = [(f"{text} {label}", label) for text, label in reviews(200)]
    config = bench.config("sentiment", rows, max_steps=20)
    report = bench.judge(config, bench.train(config, settings=scratch))
    gate = next(g for g in report.verdict().results if g.gate == "instrument")
    assert gate.outcome == "FAIL"
    assert "read off" in gate.reason


def test_an_untrained_classifier_is_not_competent_and_what_is_better_shows_its_gain(
    bench: Any, reviews: Rows, scratch: FineTuningConfig
) -> None:
    config = bench.config("sentiment", reviews(300), max_steps=1)
    settings = scratch.model_copy(update={"word_counts": False})
    untrained = bench.train(config, settings=settings)
    report = bench.judge(config, untrained)
    assert outcomes(report)["competence"] in ("FAIL", "INCONCLUSIVE")
    assert "What the base model brings" not in [t["caption"] for t in report.tables()]

    tokenizer = bench.prepared(config).tokenizer
    place = {"weights": untrained.path / "best", "tokenizer": tokenizer.path}
    beside = ChampionInput(version=4, key="untrained", **place)
    report = bench.judge(config, bench.train(config, settings=scratch), unaided=beside)
    table = next(t for t in report.tables() if t["caption"] == "What the base model brings")
    (_, ours), (name, theirs), (_, gain) = table["rows"]
    assert name == "Version 4, from random weights"
    assert float(ours[:-1]) > 80 > float(theirs[:-1])
    assert float(gain.split("%")[0]) == pytest.approx(
        float(ours[:-1]) - float(theirs[:-1]), abs=0.2
    )
    assert gain.startswith("+")
    assert outcomes(report)["champion"] == "SKIPPED"


def test_a_network_that_learnt_nothing_does_not_spoil_what_counted_words_say(
    bench: Any, reviews: Rows, scratch: FineTuningConfig, tmp_path: Path
) -> None:
    config = bench.config("sentiment", reviews(600), max_steps=1)
    stage = Stage(
        corpus=bench.prepared(config),
        task=SENTIMENT,
        shape=config.model,
        training=config.training,
        options=scratch,
        initial=None,
    )
    model = stage.subject().new_model(0.0, "cpu")
    assert isinstance(model, TextClassifier)
    model.scale(network=1000.0, words=1.0)
    labels = np.array(stage.tune_labels)

    def right(classifier: TextClassifier) -> float:
        logits = class_logits(classifier, stage.tune, end_id=stage.corpus.loaded.end_id)
        return float((logits.argmax(1) == labels).mean())

    assert right(model) < 0.8
    stage.subject().save(model, tmp_path)
    assert right(load_classifier(tmp_path)) > 0.95


def test_a_stopped_training_goes_on_bit_for_bit(bench: Any, reviews: Rows, tmp_path: Any) -> None:
    config = bench.config("sentiment", reviews(200), max_steps=40)
    whole = bench.train(config)
    other = type(bench)(tmp_path / "other")
    other.root.mkdir()
    for number in (5, 20, 4):  # in the first stage, and twice in the second
        asked = iter(range(1000))
        with pytest.raises(TrainingInterrupted):
            other.train(config, should_stop=lambda asked=asked, n=number: next(asked) >= n)
    again = other.train(config)
    for which in ("best", "final"):
        first, second = (load_file(c.path / which / "model.safetensors") for c in (whole, again))
        assert first.keys() == second.keys()
        assert all(first[name].equal(second[name]) for name in first)
    records = [json.loads((c.path / "best" / "task.json").read_text()) for c in (whole, again)]
    assert records[0] == records[1]


def test_one_class_is_no_classification(bench: Any) -> None:
    config = bench.config("sentiment", [(f"text number {i}", "same") for i in range(50)])
    with pytest.raises(SourceError, match="at least two"):
        bench.train(config)
