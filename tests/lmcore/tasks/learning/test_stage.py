"""One stage of a training: what it reads, what it makes, and what it leaves beside the weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.learning.class_scores import class_logits
from lmcore.tasks.learning.classifier import TextClassifier, load_classifier
from lmcore.tasks.learning.stage import Stage
from lmcore.tasks.task import SENTIMENT

Rows = Callable[..., list[tuple[str, str]]]


@pytest.mark.slow
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
