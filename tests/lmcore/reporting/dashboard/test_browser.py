"""A real browser opens the dashboard: no script runs, nothing is wider than a phone."""

import re

import pytest

from lmcore.reporting.dashboard.page import render_dashboard


@pytest.mark.parametrize("kind", ["short", "long", "hostile"])
def test_the_dashboard_runs_nothing_and_fits_a_phone(
    opened, width_on_a_phone, kind, history_of, hostile_history, page_of
):
    history = {"short": history_of(1), "long": history_of(150), "hostile": hostile_history}[kind]
    page = render_dashboard(page_of(history, mlflow_url="http://127.0.0.1:9", price_per_hour=1.0))
    assert width_on_a_phone(page) == (360, 360)
    dom = opened(page)
    assert "over time</title>" in dom
    assert not re.search(r"<(script|iframe|img|object|embed)\b", dom)
