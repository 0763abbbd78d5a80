"""The verdict in a few lines, for places that show Markdown and tables but no page of ours.

In: `ReportData`.  Out: a Markdown text and rows of plain strings, for example for the
artifacts of an orchestrator, with every stranger's word escaped.
"""

from __future__ import annotations

from lmcore.reporting.text import MISSING, fence, markdown, one_line
from lmcore.reporting.version import verdicts
from lmcore.reporting.version.facts.report import ReportData

_SYMBOLS = {"PASS": "✓", "FAIL": "✗", "INCONCLUSIVE": "?", "WARN": "!", "SKIPPED": "–"}


def gate_rows(data: ReportData) -> list[dict[str, str]]:
    """One row of plain strings for each gate, in the order of evaluation."""
    return [
        {
            "gate": row.gate,
            "outcome": f"{_SYMBOLS.get(row.outcome, '')} {row.outcome}".strip(),
            "statistic": f"{row.value} {row.unit}".strip() if row.value else MISSING,
            "95 % bounds": row.interval or MISSING,
            "limit": row.limit or MISSING,
            "required": "yes" if row.required else "no",
            "in words": row.reason,
        }
        for row in map(verdicts.gate_row, data.gates)
    ]


def summary_markdown(data: ReportData) -> str:
    """Outcome, key figures, gates and one sample, as Markdown."""
    lines = [f"## Model: {markdown(data.title)}", "", f"**{markdown(_sentence(data), 1_200)}**"]
    if count := verdicts.gate_count(data):
        lines += ["", f"Gates: {markdown(count)}."]
    lines += _figures(data)
    if data.gates:
        rows = gate_rows(data)
        lines += ["", f"| {' | '.join(rows[0])} |", "| " + "--- | " * len(rows[0])]
        lines += [
            "| " + " | ".join(markdown(text, 1_000) for text in row.values()) + " |" for row in rows
        ]
    if data.samples:
        first = data.samples[0]
        lines += ["", "Sample:", "", fence(first.prompt + first.text)]
    return "\n".join(lines) + "\n"


def description_markdown(data: ReportData, *, most_characters: int) -> str:
    """Outcome, key figures and gates for a page that shows tags as they are written.

    Its first line is a sentence, as lists of versions show no more.

    Args:
        data: Of the version.
        most_characters: Of the text; where that is too few, the last rows are left out.
    """
    # Plain text: what is escaped already would be escaped again in a sum of `Markup`.
    lines = [str(markdown(one_line(f"{data.outcome}: {data.reason}", 1_000), 1_000))]
    lines += _figures(data)
    if data.gates:
        lines += ["", "| Gate | Outcome | In words |", "| --- | --- | --- |"]
        lines += [
            f"| {markdown(row['gate'])} | {row['outcome']} | {markdown(row['in words'], 200)} |"
            for row in gate_rows(data)
        ]
    end = "\n\nThe report, the card and all figures are among the files of the version.\n"
    text = ""
    for line in lines:
        if len(text) + len(line) + len(end) >= most_characters:
            break
        text += line + "\n"
    return text.rstrip("\n") + end


def _figures(data: ReportData) -> list[str]:
    """Lines of a table, an empty one before them; none without figures."""
    if not (tiles := verdicts.tiles(data)):
        return []
    rows = [f"| {markdown(t.label)} | {markdown(t.value)} | {markdown(t.note)} |" for t in tiles]
    return ["", "| Figure | Value | |", "| --- | --- | --- |", *rows]


def _sentence(data: ReportData) -> str:
    return one_line(verdicts.outcome_sentence(data), 1_200)
