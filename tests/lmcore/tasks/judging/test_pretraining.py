"""What a base model brings is shown beside a version that began from random weights."""

from collections.abc import Callable
from typing import Any

import pytest

from lmcore.evaluation.inputs import ChampionInput
from lmcore.tasks.config import FineTuningConfig

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
