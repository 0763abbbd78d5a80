from collections.abc import Callable
from typing import Any

import pytest

from flows.registry.versions import Version
from flows.steps import run_page
from flows.steps.promote_version import Decision
from lmcore.evaluation.report import EvalReport

DECISION = Decision(outcome="promoted", reason="PASS; is the first champion", champion=1)


def test_the_page_shows_gates_and_a_summary_of_the_decision(
    made: Any,
    champion: Version,
    report_that: Callable[[str], EvalReport],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: dict[str, Any] = {}

    def create(content: Any, *, key: str, description: str) -> None:
        shown[key] = (content, description)

    monkeypatch.setattr(run_page, "create_table_artifact", create)
    monkeypatch.setattr(run_page, "create_markdown_artifact", create)
    run_page.show_gates(made.candidate(report_that("PASS")), champion, DECISION)
    assert set(shown) == {"gates-lines", "summary-lines"}
    rows, description = shown["gates-lines"]
    assert description == DECISION.reason
    assert "competence" in str(rows)
    assert "PASS" in str(rows)
    assert "Promoted: this version is now the champion" in shown["summary-lines"][0]


def test_a_page_that_cannot_be_written_fails_no_run(
    made: Any,
    champion: Version,
    report_that: Callable[[str], EvalReport],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OSError("the server is away")

    monkeypatch.setattr(run_page, "create_table_artifact", away)
    run_page.show_gates(made.candidate(report_that("PASS")), champion, DECISION)
    assert "Prefect does not show the gates of this run: the server is away" in caplog.text
