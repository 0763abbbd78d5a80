"""The page says what was counted, and which gates cannot vouch."""

import os
import platform

import pytest
import torch

from lmcore.controls.page import controls_page, machine, outcomes, statistic
from lmcore.evaluation.gates.standing import ControlRecord, Counted, GateRecord


def counted(control="noise", kind="negative", right=4, seeds=4, **facts):
    values = {"outcomes": {"FAIL": seeds}, "seeds": seeds, "as_expected": right}
    return Counted(control=control, kind=kind, **{**values, **facts})


def page_of(*controls, gate="champion"):
    found = GateRecord(version="f" * 64, controls=controls, machine="two cores", date="2026-11-24")
    return controls_page(ControlRecord(gates={gate: found}))


def test_the_page_says_what_was_counted():
    values = {"values": [0.0, 0.1, 0.2, 0.3], "unit": "bits/byte", "limit": 0.5}
    page = page_of(
        counted(**values),
        counted("sound", "healthy", 3, outcomes={"FAIL": 1, "PASS": 3}, **values),
    )
    assert "## champion" in page
    assert "All 1 negative controls were caught. 1 false alarm in 4 healthy cases." in page
    assert "| noise | negative | 4 of 4 (≥ 47%) | 53% | 4 FAIL | 0 / 0.15 / 0.3 bits/byte |" in page
    assert "| sound | healthy | 3 of 4 " in page
    assert "| 1 FAIL, 3 PASS | 0 / 0.15 / 0.3 bits/byte | 0.5 |" in page
    assert "No control has been run yet" in controls_page(ControlRecord())


def test_a_miss_is_said_before_anything_else_and_takes_the_vote():
    page = page_of(
        counted("noise", seconds=1000.4), counted("untrained", right=3), counted("sound", "healthy")
    )
    section = page.partition("## champion\n\n")[2]
    assert section.startswith("**Missed: untrained.** This gate cannot vote PASS. 0 false alarms")
    assert "2026-11-24, 1,000 s of one core on two cores; gate version `ffffffffffffffff`" in page
    assert "were caught" not in section


def test_every_row_has_the_columns_of_the_header():
    page = page_of(counted(), counted("b", limit=0.123456), counted("c", "healthy", values=[1.0]))
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 3
    assert {row.count("|") for row in rows} == {8}
    assert rows[3].endswith("| 0.1235 |")


@pytest.mark.parametrize(
    ("values", "unit", "text"),
    [
        ([], "bits/byte", ""),
        ([3.0], "", "3 / 3 / 3"),
        ([3.0, 1.0, 2.5], "nats", "1 / 2.5 / 3 nats"),
        ([-0.12345, 1234.5], "", "-0.123 / 617 / 1.23e+03"),
    ],
)
def test_a_statistic_is_smallest_median_and_largest(values, unit, text):
    assert statistic(counted(values=values, unit=unit)) == text


def test_outcomes_are_counted_in_their_order():
    assert outcomes(counted(outcomes={"FAIL": 3, "PASS": 1})) == "3 FAIL, 1 PASS"
    assert outcomes(counted(outcomes={})) == ""


def test_the_machine_is_named_by_what_changes_numbers():
    named = machine()
    assert f"Python {platform.python_version()}, torch {torch.__version__}" in named
    assert f"{len(os.sched_getaffinity(0))} cores" in named
    assert not named.startswith(",")
