"""The dashboard of a real registry: from tags alone, and by the command."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from flows.dashboard import page as dashboard
from flows.progress.board import posted
from flows.progress.job import Snapshot
from flows.registry.promotion import promote
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


def test_what_was_promoted_although_it_failed_is_shown_as_that(two_versions, home):
    promote(
        two_versions,
        "speeches",
        2,
        expected_champion=1,
        who="ines",
        reason="needed today",
        override=True,
        smoke=lambda folder: None,
    )
    page = dashboard.build(home)
    assert "1 promoted, 1 by override although it failed, 0 rejected" in page
    assert "promoted by override although it failed its gates by ines" in page
    data = dashboard.gather(home).models[0]
    assert [version.outcome for version in data.versions] == ["promoted", "overridden"]


def test_each_version_is_linked_to_its_report(two_versions, home):
    dashboard.refresh(home)
    path = home.dashboard
    links = re.findall(r'href="([^"#:]+report\.html)"', path.read_text())
    assert len(links) == 2
    assert all((path.parent / unquote(link)).is_file() for link in links)
    served = dashboard.build(home, report=lambda v: f"/reports/{v.model}/{v.number}", live=True)
    assert 'href="/reports/speeches/2"' in served


def test_a_page_that_is_served_says_what_runs_and_what_will(two_versions, home):
    assert 'http-equiv="refresh"' not in dashboard.build(home)
    config = {"name": "tales", "schedule": {"cron": "0 3 * * 1", "timezone": "UTC"}}
    (home.up / "configs.json").write_text(json.dumps([config, {"name": "songs"}]))
    idle = dashboard.build(home, live=True)
    assert 'http-equiv="refresh" content="60"' in idle
    assert re.search(r"tales</bdi></strong> Mon \d\d \w+ \d{4}, 03:00 UTC, in \d", idle)
    with posted(home.running, "run-tales", flow_run_id="f-1") as notice:
        notice.write(
            Snapshot(
                name="run",
                model="tales",
                step="train",
                done=4,
                total=9,
                unit="steps",
                note="loss 2.100 nats/token",
                seconds=30.0,
                step_left=90.0,
            )
        )
        page = dashboard.build(home, live=True, prefect_url="http://127.0.0.1:4200")
    assert 'http-equiv="refresh" content="5"' in page
    assert "train: 4 of 9 steps, loss 2.100 nats/token, about 1 min 30 s left" in page
    assert '<progress max="100" value="25.0"' in page
    assert 'href="http://127.0.0.1:4200/runs/flow-run/f-1"' in page
