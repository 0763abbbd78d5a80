"""What a base model brings is shown beside a version that began from random weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lmcore.controls.bench import make_document
from lmcore.evaluation.gates.champion import Incumbent
from lmcore.evaluation.inputs import ChampionInput
from lmcore.evaluation.statistics.measured import Measured
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.judging.pretraining import gain_from_base
from lmcore.tasks.measures.metrics import ACCURACY, mean_of

Rows = Callable[..., list[tuple[str, str]]]


def outcomes(report: Any) -> dict[str, str]:
    return {gate.gate: gate.outcome for gate in report.verdict().results}


@pytest.mark.slow
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


DOCUMENTS = [make_document(f"text {n}") for n in range(40)]


def right(*, of: int) -> Measured:
    """An accuracy: so many of the first documents are right."""
    return mean_of(ACCURACY, DOCUMENTS, np.arange(40) < of)


def gain(unaided: Incumbent | None) -> list[dict[str, Any]]:
    return gain_from_base(
        right(of=36), unaided, base="letters version 3", resampling=Resampling(resamples=1000)
    )


def test_both_values_and_their_paired_difference_are_shown() -> None:
    (table,) = gain(Incumbent(version=7, measured=right(of=20)))
    assert table["header"] == ["", "Accuracy"]
    (first, second, (difference, value)) = table["rows"]
    assert first == ["This version, from letters version 3", "90.0%"]
    assert second == ["Version 7, from random weights", "50.0%"]
    assert difference.startswith("Difference")
    assert value.startswith("+40.0% [+")
    assert table["note"].startswith("On the same 40 held-out documents.")


def test_what_the_other_was_trained_on_is_left_out_of_both() -> None:
    known = {document.id for document in DOCUMENTS[:20]}
    (table,) = gain(Incumbent(version=7, measured=right(of=20), train_ids=known))
    assert [row[1] for row in table["rows"][:2]] == ["80.0%", "0.0%"]
    assert "On the same 20" in table["note"]


def test_the_order_of_the_others_documents_is_no_matter() -> None:
    turned = right(of=20).select(np.arange(40)[::-1])
    assert gain(Incumbent(version=7, measured=turned)) == gain(
        Incumbent(version=7, measured=right(of=20))
    )


def test_where_nothing_is_beside_there_is_no_table() -> None:
    assert gain(None) == []
    assert gain(Incumbent(version=7, measured=None, problem="its folder is gone")) == []
    known = {document.id for document in DOCUMENTS[1:]}
    assert gain(Incumbent(version=7, measured=right(of=20), train_ids=known)) == []
