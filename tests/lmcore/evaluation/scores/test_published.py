"""Metrics under their contract names, by hand; what has no documents has no metric."""

import math
import subprocess
import sys

import numpy as np
import pytest

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.scores.metrics import bits_per_byte
from lmcore.evaluation.scores.published import contract_metrics
from lmcore.evaluation.statistics.resampling import Resampling

HOW = Resampling(resamples=1000)
FACTS = {"params": 1234, "train_tokens_per_second": 5000.5, "steps": 70}


def published(validation, train, baselines=(), facts=FACTS):
    return contract_metrics(
        validation=validation,
        train=train,
        baselines=dict(baselines),
        facts=facts,
        resampling=HOW,
    )


def test_every_metric_has_its_name_its_unit_and_its_documents(scores):
    validation = scores([1.0, 2.0, 3.0], anchor=[True, False, True])
    train, ngram = scores([0.5, 1.5], start=50), scores([3.0, 4.0, 5.0])
    found = published(validation, train, {5: ngram})
    assert {name: (m["value"], m["unit"], m["n"]) for name, m in found.items()} == {
        "val_bits_per_byte": (pytest.approx(2.0), "bits/byte", 3),
        "train_bits_per_byte": (pytest.approx(1.0), "bits/byte", 2),
        "anchor_bits_per_byte": (pytest.approx(2.0), "bits/byte", 2),
        "baseline_kn5_bits_per_byte": (pytest.approx(4.0), "bits/byte", 3),
        # 100 bytes and 40 tokens a document.
        "val_loss_nats_per_token": (pytest.approx(2.0 * 2.5 * math.log(2)), "nats/token", 3),
        "train_tokens_per_second": (5000.5, "tokens/s", 70),
        "params": (1234, "parameters", 1),
    }
    expected = bits_per_byte(validation, resampling=HOW)
    bounds = found["val_bits_per_byte"]["lower"], found["val_bits_per_byte"]["upper"]
    assert bounds == (expected.lower, expected.upper)
    assert (found["params"]["lower"], found["params"]["upper"]) == (None, None)


def test_a_single_cluster_has_a_value_and_no_interval(scores):
    validation = scores([1.0])
    found = published(validation, scores([2.0, 4.0]))
    values = {"value": pytest.approx(1.0), "lower": None, "upper": None, "n": 1}
    assert found["val_bits_per_byte"] == {**values, "unit": "bits/byte"}
    loss = {**values, "value": pytest.approx(2.5 * math.log(2))}
    assert found["val_loss_nats_per_token"] == {**loss, "unit": "nats/token"}
    assert found["train_bits_per_byte"]["lower"] is not None


def test_what_was_not_measured_is_left_out(scores):
    found = published(scores([1.0, 2.0]), scores([]), facts={"params": math.nan})
    assert set(found) == {"val_bits_per_byte", "val_loss_nats_per_token"}


def test_metrics_of_nothing_raise(scores):
    empty = scores([])
    with pytest.raises(EmptyEvaluationError):
        contract_metrics(
            validation=empty, train=empty, baselines={}, facts={}, resampling=Resampling()
        )


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("side", ["validation", "train"])
def test_a_score_that_is_not_finite_is_never_published(scores, value, side):
    sides = {"validation": scores([1.0, 2.0]), "train": scores([1.0, 2.0])}
    sides[side] = scores(np.array([1.0, value]))
    with pytest.raises(EmptyEvaluationError):
        published(**sides)


def test_what_is_judged_with_is_not_imported_before_it_is_used():
    slow = {"evaluate", "scipy.stats", "scipy.optimize", "sklearn", "sacrebleu", "matplotlib"}
    script = (
        "import sys, lmcore.evaluation.evaluate, lmcore.tasks.judging.evaluate\n"
        f"print(*sorted({slow!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
