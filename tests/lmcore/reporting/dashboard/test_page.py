"""The dashboard as text: structure, what is folded, contrast, and hostile text."""

import html
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from lmcore.reporting.dashboard.facts import DriftEntry
from lmcore.reporting.dashboard.page import render_dashboard
from lmcore.reporting.dashboard.stacks import MAX_PARTS
from lmcore.reporting.estimates import Estimate

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Outline(HTMLParser):
    """Checks that tags close in order; collects identifiers, references and headings."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: set[str] = set()
        self.headings: list[int] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        for name in ("aria-labelledby", "aria-describedby"):
            self.references |= set((values.get(name) or "").split())
        href = values.get("href") or ""
        self.references |= {href[1:]} if href.startswith("#") else set()
        self.addresses += [href] if href and not href.startswith("#") else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        assert not {name for name in values if name.startswith("on")}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    assert parser.references <= set(parser.ids)
    steps = zip(parser.headings, parser.headings[1:], strict=False)
    assert all(after - before <= 1 for before, after in steps)
    return parser


@pytest.mark.parametrize("count", [0, 1, 5, 150])
def test_a_page_of_any_length_is_well_formed(history_of, page_of, count):
    page = render_dashboard(page_of(history_of(count)))
    found = outline(page)
    assert found.headings[0] == 1
    assert set(found.addresses) == {"data:,"}
    for landmark in ("<main", "<header", "<nav", "<footer", "Skip to the models"):
        assert landmark in page
    assert all('scope="' in cell for cell in re.findall(r"<th\b[^>]*>", page))
    assert not re.search(r"<script|url\(|@import|\bsrc=", page)


def test_several_models_have_an_overview_and_no_model_a_hint(history_of, page_of):
    page = render_dashboard(page_of(history_of(3), history_of(2, model="other")))
    outline(page)
    assert "All models" in page
    assert "<code>lmcore run</code>" in render_dashboard(page_of())


def test_what_is_old_is_folded_and_nothing_is_lost(history_of, page_of):
    page = render_dashboard(page_of(history_of(150)))
    shown = re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)
    for number in (1, 75, 150):
        assert f">v{number}</th>" in page
    assert ">v75</th>" not in shown
    assert page.count('class="o ') >= 150 * 11
    assert 'class="band"' in page
    assert "a column is the mean of 2 versions" in page


def test_the_timeline_says_who_was_in_use_and_until_when(history_of, page_of):
    page = render_dashboard(page_of(history_of(5)))
    assert "version 4: champion from 2026-03-30 03:04 to 2026-04-01 03:04" in page
    assert "version 1: champion from 2026-04-01 03:04 to now" in page
    assert "rolled back to by ines" in page


def test_a_model_whose_versions_were_all_refused_has_a_page(history_of, page_of):
    history = history_of(3)
    refused = [event for event in history.events if event.action == "reject"]
    page = render_dashboard(page_of(history.model_copy(update={"events": refused})))
    outline(page)
    assert "2 refused" in page
    assert "champion from" not in page


def test_links_only_where_a_server_is_known(history_of, page_of):
    history = history_of(2)
    assert "runs/flow-run" not in render_dashboard(page_of(history))
    page = render_dashboard(page_of(history, mlflow_url="http://m", prefect_url="http://p"))
    run = history.runs[0]
    assert f'href="http://m/#/experiments/1/runs/{run.run_id}"' in page
    assert f'href="http://p/runs/flow-run/{run.flow_run_id}"' in page


def test_drift_is_drawn_where_somebody_looked(history_of, page_of):
    history = history_of(2)
    assert "No monitoring yet" in render_dashboard(page_of(history))
    at = datetime(2026, 4, 1, tzinfo=UTC)
    far = Estimate(value=0.3, lower=0.1, upper=0.5)
    looks = [
        DriftEntry(at=at, difference=Estimate(value=0.0), outcome="STABLE", sentence="as before"),
        DriftEntry(at=at, difference=far, outcome="DRIFTED", sentence="far off"),
    ]
    page = render_dashboard(page_of(history.model_copy(update={"drift": looks})))
    outline(page)
    assert "2026-04-01 00:00: as before" in page
    assert "2026-04-01 00:00: far off" in page
    assert "No monitoring yet" not in page


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_marks_have_contrast(history_of, page_of, theme):
    style = re.search(r"<style>(.*?)</style>", render_dashboard(page_of()), re.DOTALL)[1]
    blocks = re.findall(r"(prefers-color-scheme: dark\) \{\s*)?:root \{(.*?)\}", style, re.DOTALL)
    colours: dict[str, str] = {}
    for dark, block in blocks:
        if bool(dark) == (theme == "dark"):
            colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    paper = colours["paper"]
    for name in ("ink", "soft", "pass", "fail", "warn", "idle", "accent"):
        assert contrast(colours[name], paper) >= 4.5, name
    for index in range(MAX_PARTS):
        assert contrast(colours[f"p{index}"], paper) >= 3, index


def contrast(first: str, second: str) -> float:
    """Source: Web Content Accessibility Guidelines 2.2, relative luminance."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_hostile_text_is_text(hostile_history, page_of):
    page = render_dashboard(page_of(hostile_history, mlflow_url="http://m"))
    found = outline(page)
    assert not re.search(r"<(script|iframe|img|object|embed)\b", page)
    assert "{{" in html.unescape(page)
    assert all(a.startswith(("http://m", "data:,")) for a in found.addresses)
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", page)
    assert "more characters" in page
