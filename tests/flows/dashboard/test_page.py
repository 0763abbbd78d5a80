"""The dashboard of a real registry: from tags alone, by the command, by the server."""

import os
import select
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from flows.dashboard import page as dashboard
from flows.dashboard import server as dashboard_server
from flows.registry.promotion import promote, record_rejection
from flows.registry.tracking import open_run
from flows.registry.versions import COST_TAG, fact_tags, to_tag

GATES = [
    {"gate": "champion", "required": True, "outcome": "PASS", "reason": "better", "evidence": {}},
    {"gate": "pii", "required": False, "outcome": "WARN", "reason": "<b>ten</b> addresses"},
]
DOCUMENTS = {"documents": 249, "bytes": 12_000_000, "licenses": {"CC0-1.0": 12_000_000}}


@pytest.fixture
def two_versions(registry, register, assemble_in, tmp_path):
    """One champion and one that was refused, registered as the pipeline does it."""
    metrics = {"val_bits_per_byte": {"value": 1.41, "lower": 1.3, "upper": 1.5, "unit": "x"}}
    tags = fact_tags(GATES, DOCUMENTS)
    first = register(metrics=metrics, tags=tags)
    other = assemble_in(tmp_path, "other", seed=1)
    register(other, run_key="k2", passed=False, verdict="gate champion: FAIL", tags=tags)
    cost = {"seconds": {"train": 100.0, "total": 120.0}, "core_seconds": 200.0}
    registry.set_version_tag("speeches", first.number, COST_TAG, to_tag(cost))
    promote(
        registry,
        "speeches",
        1,
        expected_champion=None,
        who="ines",
        reason="first",
        smoke=lambda folder: None,
    )
    record_rejection(registry, "speeches", 2, who="pipeline", reason="no better")
    return registry


def test_the_metric_that_decides_is_the_result(registry, register, home):
    """Macro F1 was measured, too; the gates of a classifier ask for accuracy."""
    metrics = {
        "macro_f1": {"value": 0.71, "unit": "share"},
        "accuracy": {"value": 0.8, "unit": "share"},
    }
    register(metrics=metrics, tags={**fact_tags(GATES, DOCUMENTS), "task": "sentiment"})
    page = dashboard.build(home)
    assert "Accuracy (higher is better)" in page
    assert "Macro F1" not in page


def test_the_page_tells_what_the_registry_knows(two_versions, home, monkeypatch):
    monkeypatch.setenv(dashboard.PRICE_VARIABLE, "3.6")
    page = dashboard.build(home)
    for text in ("version 1", "by ines", "no better", "1.41", "249 documents", "2 min 0 s", "0.12"):
        assert text in page
    assert "champion: PASS. better" in page
    assert "&lt;b&gt;ten&lt;/b&gt; addresses" in page
    assert "CC0-1.0" in page
    assert "http://" not in page


def test_no_version_is_opened(two_versions, home, monkeypatch):
    monkeypatch.setattr(
        "flows.registry.version_files.open_version", lambda *a, **k: pytest.fail("opened")
    )
    assert "version 1" in dashboard.build(home)


def test_links_need_an_address_and_lose_its_password(two_versions, home):
    page = dashboard.build(
        home, mlflow_url="https://me:secret@host:5000/", prefect_url="javascript:alert(1)"
    )
    assert 'href="https://host:5000/#/models/speeches/versions/1"' in page
    assert "secret" not in page
    assert "javascript" not in page


def test_an_empty_registry_has_a_page(home):
    assert "No model is registered yet" in dashboard.build(home)


def test_tags_that_somebody_edited_are_unknown(two_versions, home):
    for key in ("gates", "data", COST_TAG, "metrics"):
        two_versions.set_version_tag("speeches", 1, key, "[1, {")
        two_versions.set_version_tag("speeches", 2, key, '{"gates": 3, "seconds": [1], "x": "y"}')
    assert "version 1" in dashboard.build(home)


def test_the_command_writes_the_page(two_versions, home, monkeypatch, tmp_path):
    monkeypatch.setattr(dashboard, "current", lambda: home)
    answer = dashboard.write(None, None)
    assert answer["path"] == str(home.dashboard)
    assert answer["models"] == ["speeches"]
    assert answer["bytes"] == home.dashboard.stat().st_size
    elsewhere = dashboard.write(tmp_path / "new" / "page.html", "speeches")
    assert Path(elsewhere["path"]).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_page_that_cannot_be_drawn_fails_no_run(home, monkeypatch, caplog):
    monkeypatch.setattr(dashboard, "build", lambda home: 1 / 0)
    dashboard.refresh(home)
    assert "the dashboard was not rebuilt: ZeroDivisionError" in caplog.text
    assert not home.dashboard.exists()


def test_the_server_sends_the_page_with_its_policy(two_versions, home):
    app = dashboard_server.create_app(home)
    client = TestClient(app, base_url="http://127.0.0.1")
    answer = client.get("/")
    assert answer.status_code == 200
    assert "speeches" in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    two_versions.set_version_tag("speeches", 2, "quarantined", "wrong about budgets")
    assert "wrong about budgets" in client.get("/").text


def test_the_page_is_drawn_again_only_after_a_change():
    stamps, drawn = iter("aab"), []
    page = dashboard_server.Page(
        lambda: f"page {drawn.append(1) or len(drawn)}", lambda: next(stamps)
    )
    assert [page.html() for _ in range(3)] == ["page 1", "page 1", "page 2"]


@pytest.mark.integration
def test_the_server_ends_with_its_parent(home):
    open_run(home, model="speeches", run_key="k", name="run").end("FINISHED")
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.dashboard.server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(dashboard.__file__).parents[1],
        # Registering leaves the address of another test's store in the environment.
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_TRACKING")},
            "LMCORE_HOME": str(home.root),
        },
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], 120)[0]
        address = process.stdout.readline().strip()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{address}health", timeout=60) as answer:
            assert answer.read() == b"ok"
        with opener.open(address, timeout=60) as answer:
            assert b"No model is registered yet" in answer.read()
    finally:
        process.stdin.close()
        assert process.wait(timeout=60) == 0
        process.stdout.close()
