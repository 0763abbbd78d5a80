import os
import select
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from flows.dashboard.server import Page, create_app
from flows.registry.tracking import open_run

ROOT = Path(__file__).parents[3]


def test_the_server_sends_the_page_with_its_policy(two_versions, home):
    app = create_app(home)
    client = TestClient(app, base_url="http://127.0.0.1")
    answer = client.get("/")
    assert answer.status_code == 200
    assert "speeches" in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    two_versions.set_version_tag("speeches", 2, "quarantined", "wrong about budgets")
    assert "wrong about budgets" in client.get("/").text
    report = client.get("/reports/speeches/1")
    assert report.status_code == 200
    assert "frame-ancestors 'none'" in report.headers["content-security-policy"]
    assert client.get("/reports/speeches/9").status_code == 404
    assert client.get("/reports/<b>/1").status_code == 404
    measures = client.get("/metrics")
    assert measures.headers["content-type"].startswith("text/plain")
    assert 'lmcore_versions{model="speeches"} 2.0' in measures.text


def test_the_page_is_drawn_again_only_after_a_change():
    stamps, drawn = iter("aab"), []
    page = Page(lambda: f"page {drawn.append(1) or len(drawn)}", lambda: next(stamps))
    assert [page.text() for _ in range(3)] == ["page 1", "page 1", "page 2"]


@pytest.mark.integration
def test_the_server_ends_with_its_parent(home):
    open_run(home, model="speeches", run_key="k", name="run").end("FINISHED")
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.dashboard.server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
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
