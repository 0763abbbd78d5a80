"""A real browser opens report and dashboard: no script runs, nothing is wider than a phone."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lmcore.reporting.dashboard.page import render_dashboard
from lmcore.reporting.version.report import render_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the chromium browser on the PATH")


def open_page(path: Path, *options: str) -> str:
    """The document as the browser sees it after loading."""
    assert CHROMIUM is not None
    command = [
        CHROMIUM,
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--disable-background-networking", "--no-first-run", "--virtual-time-budget=2000"),
        f"--user-data-dir={path.parent / 'profile'}",
        *options,
        "--dump-dom",
        path.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    return done.stdout.decode("utf-8")


def title(dom: str) -> str:
    found = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert found is not None
    return found[1]


def test_no_script_of_a_stranger_runs(tmp_path, hostile_data):
    path = tmp_path / "report.html"
    path.write_text(render_report(hostile_data), encoding="utf-8")
    dom = open_page(path)
    assert title(dom).endswith(": promoted")
    assert not re.search(r"<(script|iframe|img|object|embed)\b", dom)
    assert "&lt;img src=x onerror=" in dom


def test_the_policy_stops_a_script_that_got_into_the_page(tmp_path, report_data):
    page = render_report(report_data)
    attack = page.replace("</main>", "<script>document.title='pwned'</script></main>")
    assert attack != page
    path = tmp_path / "attack.html"
    path.write_text(attack, encoding="utf-8")
    assert title(open_page(path)) == "annual-messages, version 3: promoted"
    # Without the policy the same script does run: this test can see one.
    path.write_text(attack.replace("Content-Security-Policy", "X-Nothing"), encoding="utf-8")
    assert title(open_page(path)) == "pwned"


@pytest.mark.parametrize("kind", ["report_data", "hostile_data"])
def test_nothing_is_wider_than_a_phone(tmp_path, kind, request):
    page = render_report(request.getfixturevalue(kind))
    assert width_on_a_phone(tmp_path, page) == "360 of 360"


@pytest.mark.parametrize("kind", ["short", "long", "hostile"])
def test_the_dashboard_runs_nothing_and_fits_a_phone(
    tmp_path, kind, history_of, hostile_history, page_of
):
    history = {"short": history_of(1), "long": history_of(150), "hostile": hostile_history}[kind]
    page = render_dashboard(page_of(history, mlflow_url="http://127.0.0.1:9", price_per_hour=1.0))
    assert width_on_a_phone(tmp_path, page) == "360 of 360"
    dom = open_page(tmp_path / "report.html")
    assert title(dom).endswith("over time")
    assert not re.search(r"<(script|iframe|img|object|embed)\b", dom)


def width_on_a_phone(tmp_path: Path, page: str) -> str:
    """How wide a page is in a frame of 360 pixels."""
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    frame = tmp_path / "phone.html"
    frame.write_text(
        "<!doctype html><title>loading</title><iframe id=f src=report.html style='width:360px;"
        "height:800px;border:0'></iframe><script>f.onload = () => { const d = f.contentDocument;"
        " const e = d.documentElement;"
        " document.title = e.scrollWidth + ' of ' + e.clientWidth }</script>",
        encoding="utf-8",
    )
    return title(open_page(frame, "--allow-file-access-from-files", "--hide-scrollbars"))
