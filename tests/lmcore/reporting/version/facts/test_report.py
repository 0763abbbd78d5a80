"""Whatever the steps left is read once, and nothing in it makes a page fail."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lmcore.reporting.version.card import render_card
from lmcore.reporting.version.facts.report import ReportData
from lmcore.reporting.version.report import render_report
from lmcore.reporting.version.summary import gate_rows, summary_markdown

NUMBERS = st.one_of(
    st.floats(), st.integers(), st.sampled_from([10**400, -(10**400), 1e308, -1e308, 5e-324])
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(alphabet="ab<&|`\x00\ud800"))
WORDS = st.text(alphabet="abx_", min_size=1, max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=6,
)


def damaged(value: object) -> st.SearchStrategy[object]:
    """The same value with any part of it replaced by anything, or left out."""
    if isinstance(value, dict):
        whole: st.SearchStrategy[object] = st.fixed_dictionaries(
            {}, optional={key: damaged(item) for key, item in value.items()}
        )
    elif isinstance(value, list):
        whole = st.tuples(*map(damaged, value[:3])).map(list)
    else:
        whole = st.just(value)
    return st.integers(0, 9).flatmap(lambda die: whole if die else VALUES)


@pytest.fixture
def everything(report_values):
    """Values with each part that a report can have."""
    side = {"value": 0.2, "lower": 0.1, "upper": 0.3}
    sides = [f"{side}{end}" for side in ("model", "corpus") for end in ("", "_lower", "_upper")]
    word = {"word": "a", "class": "person", "occurrences": 9, "female": 1, "male": 2}
    share = {"share": 0.5, "lower": 0.4, "upper": 0.6, "pairs": 9}
    bias = {
        "gate": "bias_lm",
        "outcome": "FAIL",
        "evidence": {
            "words": [{**word, **dict.fromkeys(sides, 0.1)}, {**word, **dict.fromkeys(sides, 9)}],
            "axis": "labour",
            "slopes": {"labour": dict.fromkeys(("model", "corpus", "amplification"), side)},
            "pronouns": {"she": 1, "he": 9},
            "probes": {
                "crows_pairs": {"all": share, "kinds": {"age": share}, "flaws": ["a"]},
                "weat": {"tests": [{"name": "a", "d": 1, "p": 0.1, "exact": True}], "flaws": []},
            },
        },
    }
    standing = {
        "status": "missed",
        "version": "ab",
        "date": "2026-01-01",
        "controls": [{"control": "a", "kind": "negative", "seeds": 9, "as_expected": 8}],
    }
    first, *_ = report_values["gates"]
    return {
        **report_values,
        "gates": [{**first, "evidence": {"controls": standing}}, bias],
        "curve": report_values["curve"][10:12],
        "tables": [{"caption": "a", "header": ["a"], "rows": [[1.5]], "note": "b"}],
        "attention": [{"kind": "a", "readers": ["b"], "words": ["c"], "shares": [[0.5]]}],
    }


@given(data=st.data())
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_value_makes_a_page_fail_or_shows_as_nan(everything, data):
    values = data.draw(damaged(everything))
    known = values if isinstance(values, dict) else {}
    report = ReportData(**{"model": "m", **known, "outcome": "rejected"})
    for shown in (render_report(report), render_card(report), summary_markdown(report)):
        shown.encode("utf-8")
        assert not re.search(r"\b(nan|inf|None)\b", shown)
    assert len(gate_rows(report)) == len(report.gates)


def test_an_unknown_outcome_is_refused():
    with pytest.raises(ValidationError, match="'passed', 'promoted'"):
        ReportData(model="m", outcome="lost")


def test_what_is_wrong_is_missing(report_of):
    data = report_of(
        metrics={"val_bits_per_byte": {"value": "1.4", "lower": float("nan"), "n": 3}, "x": 7},
        gates=[{"gate": "a", "value": [1], "evidence": {"controls": {"controls": [{"seeds": 1}]}}}],
        curve=[{"step": None, "loss_nats": 1.0}, {"step": 2, "loss_nats": "x"}],
        seconds={"train": -1.0, "total": float("inf"), "ingest": 2.0},
        fingerprints={"data": None, "weights": 3, "code": "ab"},
    )
    (metric,) = data.metrics.values()
    assert (metric.value, metric.lower, metric.n) == (None, None, 3)
    (gate,) = data.gates
    assert (gate.value, gate.controls.controls) == (None, ())
    assert [(p.step, p.loss_nats) for p in data.curve] == [(2, None)]
    assert (data.seconds, data.total_seconds) == ({"ingest": 2.0}, 2.0)
    assert data.fingerprints == {"code": "ab"}
    assert data.designation == "version 3"
