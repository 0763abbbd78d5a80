"""The verdict in a few lines of Markdown, in which no text of a stranger has an effect."""

from markdown_it import MarkdownIt

from lmcore.reporting.version.facts.report import ReportData
from lmcore.reporting.version.summary import description_markdown, gate_rows, summary_markdown

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
ACTIVE = {"html_block", "html_inline", "link_open", "image", "s_open", "em_open", "code_inline"}


def test_gates_come_as_rows_of_plain_strings(report_data, hostile_data):
    rows = gate_rows(report_data)
    assert rows[2] == {
        "gate": "competence",
        "outcome": "✓ PASS",
        "statistic": "−0.211 bits/byte",
        "95 % bounds": "−0.225 to −0.196",
        "limit": "0",
        "required": "yes",
        "in words": "The model needs 0.211 bits per byte less than a byte 5-gram on the same 25"
        " documents.",
    }
    assert len(rows) == len(report_data.gates)
    assert all("\x00" not in text for row in gate_rows(hostile_data) for text in row.values())


def test_the_summary_is_short_and_says_the_outcome_first(report_data):
    lines = summary_markdown(report_data).splitlines()
    assert lines[0] == "## Model: annual-messages, version 3"
    assert lines[2].startswith("**Promoted: this version is now the champion. Every required")
    assert "| Held-out text | 1.503 | bits/byte · 1.482 to 1.526 · 25 documents |" in lines
    bare = summary_markdown(ReportData(model="m", outcome="skipped"))
    assert bare.startswith("## Model: m, candidate\n\n**Skipped: nothing new to train on")


def test_hostile_text_breaks_no_summary(hostile_data):
    text = summary_markdown(hostile_data)
    text.encode("utf-8")
    tokens = MARKDOWN.parse(text)
    kinds = {t.type for t in tokens} | {c.type for t in tokens for c in t.children or []}
    assert not kinds & ACTIVE
    headings = [t for t in tokens if t.type == "heading_open"]
    assert len(headings) == 1
    assert [t.type for t in tokens].count("fence") == 1
    # Two tables, of key figures and of gates; the latter has a header and a row for each gate.
    starts = [i for i, t in enumerate(tokens) if t.type == "table_open"]
    assert len(starts) == 2
    rows = [t for t in tokens[starts[1] :] if t.type == "tr_open"]
    assert len(rows) == 1 + len(gate_rows(hostile_data))


def test_a_description_begins_with_the_outcome_and_fits(report_data, hostile_data):
    whole = description_markdown(report_data, most_characters=100_000)
    assert whole.splitlines()[0] == f"promoted: {report_data.reason}"
    assert "| Held-out text | 1.503 | bits/byte · 1.482 to 1.526 · 25 documents |" in whole
    assert whole.count("| ✓ PASS |") == sum(g.outcome == "PASS" for g in report_data.gates)
    ending = whole.splitlines()[-1]
    for most in (200, 700, 5_000):
        text = description_markdown(report_data, most_characters=most)
        assert len(text) <= most
        *lines, _, last = text.splitlines()
        assert last == ending
        assert lines == whole.splitlines()[: len(lines)]  # no row is cut
    hostile = description_markdown(hostile_data, most_characters=5_000)
    hostile.encode("utf-8")
    tokens = MARKDOWN.parse(hostile)
    assert not {t.type for t in tokens} & ACTIVE
    assert not {c.type for t in tokens for c in t.children or []} & ACTIVE


def test_a_description_is_escaped_once(report_of):
    gates = [{"gate": "pii", "outcome": "PASS", "required": False, "reason": "it's < 2 & more"}]
    text = description_markdown(report_of(gates=gates), most_characters=5_000)
    assert "it's &lt; 2 &amp; more |" in text


def test_a_gate_without_numbers_has_dashes_and_every_outcome_its_sign(report_of):
    outcomes = ("PASS", "FAIL", "INCONCLUSIVE", "WARN", "SKIPPED", "LATER")
    gates = [{"gate": "pii", "outcome": outcome, "required": False} for outcome in outcomes]
    rows = gate_rows(report_of(gates=gates))
    assert [row["outcome"] for row in rows] == [
        *("✓ PASS", "✗ FAIL", "? INCONCLUSIVE", "! WARN", "– SKIPPED", "LATER")
    ]
    for row in rows:
        assert (row["statistic"], row["95 % bounds"], row["limit"]) == ("–", "–", "–")
        assert row["required"] == "no"


def test_the_first_sample_is_shown_whole_and_no_other(report_data):
    tokens = MARKDOWN.parse(summary_markdown(report_data))
    (sample,) = [t.content for t in tokens if t.type == "fence"]
    first, second = report_data.samples
    assert sample == f"{first.prompt}{first.text}\n"
    assert second.prompt not in sample
