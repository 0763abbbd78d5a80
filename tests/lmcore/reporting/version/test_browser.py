"""A real browser opens the report: no script runs, nothing is wider than a phone."""

import re

import pytest

from lmcore.reporting.version.report import render_report


def title(dom: str) -> str:
    found = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert found is not None
    return found[1]


def test_no_script_of_a_stranger_runs(opened, hostile_data):
    dom = opened(render_report(hostile_data))
    assert title(dom).endswith(": promoted")
    assert not re.search(r"<(script|iframe|img|object|embed)\b", dom)
    assert "&lt;img src=x onerror=" in dom


def test_the_policy_stops_a_script_that_got_into_the_page(opened, report_data):
    page = render_report(report_data)
    attack = page.replace("</main>", "<script>document.title='pwned'</script></main>")
    assert attack != page
    assert title(opened(attack)) == "annual-messages, version 3: promoted"
    # Without the policy the same script does run: this test can see one.
    assert title(opened(attack.replace("Content-Security-Policy", "X-Nothing"))) == "pwned"


@pytest.mark.parametrize("kind", ["report_data", "hostile_data"])
def test_nothing_is_wider_than_a_phone(width_on_a_phone, kind, request):
    page = render_report(request.getfixturevalue(kind))
    assert width_on_a_phone(page) == (360, 360)
