"""Versions and runs as text; whatever is not recorded is empty, and no text has an address."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.reporting.dashboard.facts import ModelHistory, PipelineData, RunEntry, VersionEntry
from lmcore.reporting.dashboard.rows import (
    VersionRow,
    mlflow_link,
    money,
    run_row,
    version_row,
)

MARCH = datetime(2026, 3, 4, 14, 5, tzinfo=UTC)
MODEL = ModelHistory(model="annual messages")


def page(**facts):
    return PipelineData(created=MARCH, **facts)


def version(**facts):
    return VersionEntry(**{"number": 3, "created": MARCH, "outcome": "promoted", **facts})


def run(**facts):
    values = {"run_id": "abc", "experiment_id": "1", "name": "nightly", "state": "FINISHED"}
    return RunEntry(**{**values, "started": MARCH, **facts})


def test_a_version_as_text():
    found = version_row(
        version(
            aliases=("champion", "previous"),
            metrics={"val_bits_per_byte": {"value": 1.5, "lower": 1.4, "upper": 1.6}},
            documents={"documents": 1249, "bytes": 12_000_000},
            seconds={"total": 120.0},
            core_seconds=3_600.0,
            verdict="all gates passed",
            begun_with="base-small v1",
            report="/reports/speeches/3",
        ),
        MODEL,
        page(mlflow_url="http://m", price_per_hour=30.0),
    )
    assert found == VersionRow(
        number=3,
        link="http://m/#/models/annual%20messages/versions/3",
        created="2026-03-04 14:05",
        outcome="promoted",
        kind="pass",
        aliases="champion, previous",
        begun_with="base-small v1",
        value="1.50",
        interval="1.40 to 1.60",
        documents="1,249 documents",
        size="12.0 MB",
        took="2 min 0 s",
        cores="1 h 0 min",
        cost="1.00",
        verdict="all gates passed",
        report="/reports/speeches/3",
    )


def test_of_a_version_without_facts_the_cells_are_empty():
    found = version_row(version(outcome="lost"), MODEL, page(price_per_hour=30.0))
    assert (found.number, found.created, found.outcome, found.kind) == (
        *(3, "2026-03-04 14:05", "lost", "idle"),
    )
    others = {"number", "created", "outcome", "kind"}
    assert {v for k, v in vars(found).items() if k not in others} == {""}
    # Without a price, time costs nothing that is known.
    assert version_row(version(seconds={"total": 9.0}), MODEL, page()).cost == ""


@pytest.mark.parametrize(
    ("why", "verdict", "aliases"),
    [
        ("bad at budgets", "Quarantined: bad at budgets. passed", "previous, quarantined"),
        ("", "passed", "previous, quarantined"),
        (None, "passed", "previous"),
    ],
)
def test_a_quarantined_version_says_why(why, verdict, aliases):
    found = version_row(
        version(quarantined=why, aliases=("previous",), verdict="passed"), MODEL, page()
    )
    assert (found.verdict, found.aliases) == (verdict, aliases)


def test_a_run_as_text():
    facts = {"outcome": "promoted", "version": "4", "flow_run_id": "f/1"}
    found = run_row(
        run(ended=MARCH + timedelta(seconds=181), **facts),
        page(mlflow_url="http://m", prefect_url="http://p"),
    )
    assert (found.name, found.state, found.kind) == ("nightly", "finished", "pass")
    assert (found.started, found.took) == ("2026-03-04 14:05", "3 min 1 s")
    assert found.outcome == "promoted, version 4"
    assert found.mlflow == "http://m/#/experiments/1/runs/abc"
    assert found.prefect == "http://p/runs/flow-run/f%2F1"


@pytest.mark.parametrize(
    ("state", "text", "kind"),
    [
        ("FAILED", "failed", "fail"),
        ("KILLED", "stopped", "warn"),
        ("RUNNING", "not ended", "idle"),
        ("SCHEDULED", "scheduled", "idle"),
    ],
)
def test_a_run_that_came_to_no_decision(state, text, kind):
    found = run_row(run(state=state), page(prefect_url="http://p"))
    assert (found.state, found.kind) == (text, kind)
    assert (found.took, found.outcome, found.mlflow, found.prefect) == ("", "", "", "")


@pytest.mark.parametrize(
    ("seconds", "price", "text"),
    [(3600, 2.5, "2.50"), (90, 2.0, "0.05"), (3.6e6, 12.0, "12,000.00")],
)
def test_time_costs_its_share_of_an_hour(seconds, price, text):
    assert money(seconds, price) == text


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec=None), max_size=20))
def test_no_name_leaves_its_place_in_an_address(name):
    link = mlflow_link(page(mlflow_url="http://m"), "models", name, "versions", "1")
    parts = link.removeprefix("http://m/#/").split("/")
    assert len(parts) == 4
    assert (parts[0], parts[2:]) == ("models", ["versions", "1"])
    assert not set(parts[1]) & set("?#&\"'<> ")
    assert mlflow_link(page(), "models", name) == ""
