"""What a candidate tells of itself."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lmcore.evaluation.report import EvalReport
from lmcore.tasks.base_model import BaseModel


def test_a_task_names_the_model_that_it_began_from(
    made: Any, report_that: Callable[[str], EvalReport]
) -> None:
    config = made.run.config.model_copy(update={"task": "sentiment"})
    base = BaseModel(
        model="talk",
        version=3,
        key="k" * 64,
        weights=made.checkpoint.path / "best",
        tokenizer=made.corpus.tokenizer.path,
        train_ids=set(),
        removed=0,
        licenses={},
    )
    report = report_that("PASS")
    with_base = made.candidate(report, run=replace(made.run, config=config, base=base))
    assert with_base.lineage()["base"] == base.to_json()
    alone = made.candidate(report, run=replace(made.run, config=config))
    assert alone.lineage()["base"] is None


@pytest.mark.parametrize(("outcome", "expected"), [("PASS", "passed"), ("FAIL", "rejected")])
def test_the_page_says_no_more_than_is_decided(
    made: Any, report_that: Callable[[str], EvalReport], outcome: str, expected: str
) -> None:
    candidate = made.candidate(report_that(outcome))
    data = candidate.report_data()
    assert (data.version, data.outcome) == (None, expected)
    later = candidate.report_data(version=4, outcome="promoted")
    assert (later.version, later.outcome) == (4, "promoted")
    assert later.fingerprints["code"] == made.run.key.code
