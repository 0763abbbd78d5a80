"""The dashboard of a real registry: from tags alone, and by the command."""

from pathlib import Path

import pytest

from flows.dashboard import page as dashboard
from flows.registry.versions import COST_TAG


def test_the_metric_that_decides_is_the_result(registry, register, home, tags):
    """Macro F1 was measured, too; the gates of a classifier ask for accuracy."""
    metrics = {
        "macro_f1": {"value": 0.71, "unit": "share"},
        "accuracy": {"value": 0.8, "unit": "share"},
    }
    register(metrics=metrics, tags={**tags, "task": "sentiment"})
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
    monkeypatch.setattr(dashboard, "render_dashboard", lambda data: 1 / 0)
    dashboard.refresh(home)
    assert "the dashboard was not rebuilt: ZeroDivisionError" in caplog.text
    assert not home.dashboard.exists()
