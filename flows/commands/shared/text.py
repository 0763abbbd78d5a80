"""How answers are drawn for people: lines, tables, numbers, intervals, gates.

Everything printed may contain text from a corpus or a stranger's registry, so control
characters (which could move a terminal's cursor) are removed and markup is off.
"""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from flows.printable import as_json, clean

#: The metric that says how good a model is, and what people call it.
HEADLINES = {
    "val_bits_per_byte": "validation",
    "accuracy": "accuracy",
    "bleu": "BLEU",
    "rougeL": "ROUGE-L",
}
MARKS = {"PASS": "green", "FAIL": "red", "INCONCLUSIVE": "yellow", "WARN": "yellow"}


class Styled(str):
    """Text that is clean already and has its colours."""

    __slots__ = ()


def styled(text: object, color: str | None = None, *, bold: bool = False) -> Styled:
    """Clean text in a colour."""
    return Styled(click.style(clean(text), fg=color, bold=bold))


def line(*pieces: object, err: bool = False, end: bool = True) -> None:
    """Print clean text and end the line.

    Args:
        pieces: Of the line, one behind the other.
        err: To stderr.
        end: Whether the line ends here.
    """
    shown = (piece if isinstance(piece, Styled) else clean(piece) for piece in pieces)
    click.echo("".join(shown), err=err, nl=end)


def json_line(values: Mapping[str, Any]) -> None:
    """Print one JSON object, without a character that steers a terminal."""
    click.echo(as_json(values))


def title(text: object, color: str | None = None) -> None:
    """Print a line in bold."""
    line(styled(text, color, bold=True))


def one_line(text: object, width: int = 100) -> str:
    """Clean text without line ends, cut where it is longer than `width` characters."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def number(value: float | None, unit: str = "") -> str:
    """A metric's value with as many digits as it deserves."""
    if value is None:
        return "-"
    if unit in ("parameters", "tokens/s") or abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 3
    return f"{value:.{min(digits, 4)}f}"


def size(num_bytes: int) -> str:
    """Bytes in the unit that reads well."""
    value, unit = float(num_bytes), "bytes"
    for larger in ("kB", "MB", "GB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"


def interval(metric: Mapping[str, Any] | None) -> str:
    """`value [lower, upper] unit` of a metric."""
    if not metric:
        return "-"
    unit = metric.get("unit") or ""
    text = number(metric.get("value"), unit)
    if metric.get("lower") is not None and metric.get("upper") is not None:
        text += f" [{number(metric['lower'], unit)}, {number(metric['upper'], unit)}]"
    return f"{text} {unit}".strip()


def table(rows: Iterable[Sequence[object]], header: Sequence[str]) -> None:
    """Print rows under a header, columns as wide as their content."""
    cells = [[one_line(cell, 72) for cell in row] for row in rows]
    widths = [max([len(h), *(len(row[i]) for row in cells)]) for i, h in enumerate(header)]
    title("  ".join(h.ljust(w) for h, w in zip(header, widths, strict=True)))
    for row in cells:
        line("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())


def gates(found: Sequence[Mapping[str, Any]]) -> None:
    """Print the answer of each gate with its reason beside it."""
    columns = max((len(g["gate"]) for g in found), default=0)
    indent = 2 + 12 + 1 + columns + 2
    width = max(40, min(shutil.get_terminal_size((100, 24)).columns, 120) - indent)
    for gate in found:
        mark = styled(f"{gate['outcome']:<12}", MARKS.get(gate["outcome"]))
        needed = "" if gate["required"] else " (not required)"
        reason = textwrap.wrap(clean(gate["reason"]) + needed, width) or [""]
        line("  ", mark, f" {gate['gate']:<{columns}}  {reason[0]}")
        for more in reason[1:]:
            line(" " * indent + more)
        if gate["required"] and (step := gate.get("next_step")):
            for more in textwrap.wrap(f"-> {clean(step)}", width, subsequent_indent="   "):
                title(" " * indent + more)


def sentence(answer: Mapping[str, Any]) -> None:
    """Print the sentence of an answer that says all in one."""
    line(answer["sentence"])
