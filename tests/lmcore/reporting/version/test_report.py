"""The page is whole, loads nothing, is accessible, and prints strangers' text as text."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.reporting.templates import environment
from lmcore.reporting.text import visible
from lmcore.reporting.version.facts.report import ReportData
from lmcore.reporting.version.report import render_report

VOID = {"meta", "link"}
TAGS = {
    *("html", "head", "meta", "title", "link", "style", "body", "header", "main", "footer", "nav"),
    *("section", "div", "p", "h1", "h2", "h3", "ul", "li", "a", "bdi", "span", "strong", "pre"),
    *("dl", "dt", "dd", "table", "caption", "thead", "tbody", "tr", "th", "td", "figure"),
    *("figcaption", "details", "summary"),
    *("svg", "desc", "line", "rect", "circle", "path", "polyline", "text"),
}


class Page(HTMLParser):
    """Elements with their attributes and texts, and whether every tag was closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], str]] = []
        self.open: list[tuple[int, str]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"doubled attribute in {tag}"
        self.elements.append((tag, dict(attrs), ""))
        if tag not in VOID:
            self.open.append((len(self.elements) - 1, tag))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"nothing to close for {tag}"
        assert self.open.pop()[1] == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        for index, _ in self.open:
            tag, attributes, text = self.elements[index]
            self.elements[index] = (tag, attributes, text + data)

    def all(self, *tags: str) -> list[tuple[str, dict[str, str | None], str]]:
        return [element for element in self.elements if element[0] in tags]

    @property
    def text(self) -> str:
        return "".join(self.texts)


@pytest.fixture(params=["whole", "hostile", "bare"])
def any_data(request: pytest.FixtureRequest) -> ReportData:
    if request.param == "bare":
        return ReportData(model="m", outcome="skipped")
    data: ReportData = request.getfixturevalue(
        {"whole": "report_data", "hostile": "hostile_data"}[request.param]
    )
    return data


def test_the_report_has_its_parts_in_order(report_data):
    page = Page(render_report(report_data))
    assert [" ".join(text.split()) for _, _, text in page.all("h1", "h2", "h3")] == [
        "annual-messages version 3",
        *("Quality", "Training", "Samples", "Gates", "Data", "Sources and licences", "Time"),
        *("Reproduction", "Fingerprints (SHA-256)", "Training plan", "Machine and libraries"),
        "Configuration",
    ]
    captions = [" ".join(text.split()) for _, _, text in page.all("caption", "figcaption")]
    assert captions == [
        *("Bits per byte lower is better", "All metrics"),
        *("Training loss, nats per token", "Tune split, bits per byte", "Learning rate"),
        "Evaluations on the tune split",
        *("Gates, what each said and why", "Gates that keep nothing back"),
        *("Split", "Cleaning", "Personal data masked", "Quarantine"),
        *("Sources, by their share of the text", "Wall clock by step"),
    ]
    for fact in (
        "2026-03-04 14:05 UTC",
        "version 2 was beaten by 0.021 bits per byte.",
        "1.482 to 1.526",
        "kept: step 950",
        "In the midst of the general peace",
        "Found nothing: empty, too long.",
        "CC-PDM-1.0",
        "3f" * 32,
        "budget_seconds: 120",
    ):
        assert fact in page.text


def test_missing_parts_leave_no_empty_section():
    page = Page(render_report(ReportData(model="m", outcome="skipped", reason="nothing new")))
    assert [text.split() for _, _, text in page.all("h1", "h2", "h3")] == [["m", "candidate"]]
    assert "Nothing new." in page.text
    assert not page.all("table", "figure", "li")


@pytest.mark.parametrize(
    "part",
    [
        *("metrics", "gates", "curve", "documents", "account", "sources"),
        *("samples", "seconds", "fingerprints", "config_yaml", "plan", "environment", "version"),
    ],
)
def test_any_part_may_be_missing(report_of, part):
    Page(render_report(report_of(**{part: None})))


def test_attention_is_shaded_text_or_a_matrix(report_of):
    page = Page(
        render_report(
            report_of(
                attention=[
                    {
                        "kind": "best",
                        "readers": ["at the end"],
                        "words": ["(start)", "not", "bad"],
                        "shares": [[0.5, 0.4, 0.1]],
                    },
                    {
                        "kind": "worst",
                        "readers": ["the", "cat", "sat"],
                        "words": ["le", "chat", "(written so far)"],
                        "shares": [[0.9, 0.02, 0.08], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]],
                    },
                ],
            )
        )
    )
    shaded = [(a["style"], text) for _, a, text in page.all("span") if "style" in a]
    assert ("--w:1.00", "not") in shaded
    assert ("--w:0.25", "bad") in shaded
    assert ("--w:1.00", "(start)") in shaded  # more than any word, so no darker than the darkest
    assert "most: not 40%, bad 10%; 50% on no word of the text" in page.text
    cells = [(a["style"], text) for _, a, text in page.all("td") if "--w" in a.get("style", "")]
    assert cells[:3] == [("--w:1.00", "90"), ("--w:0.02", ""), ("--w:0.09", "8")]
    assert "where it reads, not a proof" in page.text


def test_outcomes_are_told_without_colour(report_data):
    page = Page(render_report(report_data))
    badges = [
        (a["class"], t.strip()) for _, a, t in page.all("span") if "badge" in (a.get("class") or "")
    ]
    assert badges == [
        *[("badge pass", "PASS")] * 4,
        ("badge warn", "INCONCLUSIVE"),
        ("badge fail", "FAIL"),
        ("badge warn", "WARN"),
        ("badge idle", "SKIPPED"),
    ]


def test_the_page_loads_nothing_and_runs_nothing(any_data):
    html = render_report(any_data)
    page = Page(html)
    policy = [a["content"] for _, a, _ in page.all("meta") if "http-equiv" in a]
    assert policy == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
        " form-action 'none'"
    ]
    assert {tag for tag, _, _ in page.elements} <= TAGS
    ids = {a["id"] for _, a, _ in page.elements if "id" in a}
    for tag, attributes, _ in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in {"src", "srcset", "xlink:href", "action", "background"}, (tag, name)
            if name == "href":
                assert value == "data:," or (value or "")[1:] in ids, (tag, value)
            if name == "style":
                assert re.fullmatch(r"(bottom|left):[\d.]+%|[a-z-]+:[\w.()-]+", value or ""), value
    (css,) = [text for tag, _, text in page.all("style")]
    assert not re.search(r"url\(|@import|expression|</", css)
    assert not page.open


def test_the_page_is_accessible(any_data):
    page = Page(render_report(any_data))
    ids = [a["id"] for _, a, _ in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for tag, attributes, text in page.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert name not in attributes or attributes[name] in ids
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or "aria-labelledby" in attributes
        if tag == "table":
            # Narrow screens show rows as blocks, which would take away the table's meaning.
            assert attributes["role"] == "table"
        if tag == "th" and text:
            assert attributes["scope"] in {"row", "col"}
    assert len(page.all("caption")) == len(page.all("table"))
    assert page.all("html")[0][1]["lang"] == "en"


def test_text_of_strangers_is_shown_as_it_is(hostile_data):
    page = Page(render_report(hostile_data))
    shown = [text for _, _, text in page.all("pre")]
    for sample, text in zip(hostile_data.samples, shown, strict=False):
        whole = visible(sample.prompt + sample.text)
        assert text.lstrip("\n") == (whole if len(whole) < 20_000 else text.lstrip("\n"))
    assert "… (80,000 more characters)" in shown[len(hostile_data.samples) - 1]
    assert "<script>document.title='pwned'</script>" in page.text


@given(st.text(max_size=80))
@settings(deadline=None, max_examples=40)
def test_no_text_adds_an_element(text):
    def make(word: str) -> ReportData:
        return ReportData(
            model="m",
            outcome="rejected",
            reason="r" + word,
            gates=[{"gate": "g" + word, "outcome": "FAIL", "reason": "r" + word}],
            samples=[{"prompt": "p", "text": "t" + word}],
            sources=[{"license": "l" + word, "origin": "o" + word, "bytes": 1}],
        )

    plain, other = Page(render_report(make("x"))), Page(render_report(make(text)))
    assert [tag for tag, _, _ in other.elements] == [tag for tag, _, _ in plain.elements]
    assert other.all("pre")[0][2].lstrip("\n") == visible("pt" + text)


def test_the_same_data_give_the_same_bytes(any_data):
    first = render_report(any_data)
    environment.cache_clear()
    assert render_report(any_data) == first
    first.encode("utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_colour_has_enough_contrast(scheme):
    """WCAG 2.2, 1.4.3: at least 4.5 to 1 on every ground that text stands on."""
    css = environment().get_template("report.css.j2").render()
    block = css.split(":root {")[{"light": 1, "dark": 2}[scheme]].split("}")[0]
    colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", block))

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for ground in ("paper", "raised"):
        for name in ("ink", "soft", "pass", "fail", "warn", "idle", "accent", "tune"):
            high, low = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (scheme, name, ground)


def test_what_a_budget_left_stands_above_the_gates(report_of, report_data):
    sentence = "within 600 seconds of the models' time: 41 of 213 <held-out> documents"
    page = render_report(report_of(budget=sentence))
    assert "41 of 213 &lt;held-out&gt; documents" in page
    assert "The gates judged" not in render_report(report_data)
