"""What an evaluation left is read as it was written; what only tasks leave may be missing."""

import json
import math

import pytest

from lmcore.errors import EmptyEvaluationError, IntegrityError
from lmcore.evaluation.gates.result import GateResult, Verdict
from lmcore.evaluation.report import (
    ACCOUNT_FILE,
    ATTENTION_FILE,
    GATES_FILE,
    METRICS_FILE,
    SAMPLES_FILE,
    TABLES_FILE,
    EvalReport,
    write_json,
)

METRICS = {"val_bits_per_byte": {"value": 1.5, "lower": None, "upper": None, "unit": "x", "n": 1}}


@pytest.fixture
def made(tmp_path):
    """A report of these files."""

    def make(**files):
        for name, value in files.items():
            (tmp_path / f"{name}.json").write_text(write_json(value), encoding="utf-8")
        return EvalReport(key="k", path=tmp_path)

    return make


def test_answers_of_gates_come_back_as_a_verdict(made):
    results = [
        GateResult(gate="pii", required=True, outcome="FAIL", reason="é", value=0.5, limit=0.1),
        GateResult(gate="competence", required=False, outcome="PASS", reason="b"),
    ]
    report = made(gates=[result.to_json() for result in results])
    assert report.verdict() == Verdict(results=results)
    assert not report.verdict().passed


def test_metrics_and_samples_are_those_written(made):
    sample = {"prompt": "", "text": "naïve", "seed": 0, "temperature": 0.8}
    report = made(metrics=METRICS, samples=[sample])
    assert report.metrics() == METRICS
    assert report.samples() == [sample]
    assert "naïve" in (report.path / SAMPLES_FILE).read_text(encoding="utf-8")


def test_what_only_tasks_leave_may_be_missing_and_nothing_else(made):
    bare = made()
    assert (bare.tables(), bare.attention(), bare.account()) == ([], [], {})
    for read, file in ((bare.verdict, GATES_FILE), (bare.metrics, METRICS_FILE)):
        with pytest.raises(FileNotFoundError, match=file):
            read()
    table, shares = {"caption": "c", "rows": []}, {"kind": "best", "words": ["a"]}
    report = made(tables=[table], attention=[shares], ledger={"classes": 2})
    assert (report.tables(), report.attention()) == ([table], [shares])
    assert report.account() == {"classes": 2}
    assert {path.name for path in report.path.iterdir()} == {
        *(TABLES_FILE, ATTENTION_FILE, ACCOUNT_FILE)
    }


def test_tables_of_scores_are_read_by_name(made, scores):
    report, table = made(), scores([1.0, 2.0])
    assert not report.has_scores("champion")
    with pytest.raises(IntegrityError, match=r"scores-champion\.parquet"):
        report.scores("champion")
    table.to_parquet(report.path / "scores-champion.parquet")
    assert report.has_scores("champion")
    assert report.scores("champion").nll_nats.tolist() == table.nll_nats.tolist()
    assert not report.has_scores("validation")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_that_is_not_finite_is_written(value):
    with pytest.raises(EmptyEvaluationError, match="a result is not finite"):
        write_json([{"value": [1.0, value]}])
    assert json.loads(write_json({"value": 1.5})) == {"value": 1.5}
