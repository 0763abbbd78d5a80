"""Answers as text for people: one function a command, named after it.

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

Answer = Mapping[str, Any]
_MARKS = {"PASS": "green", "FAIL": "red", "INCONCLUSIVE": "yellow", "WARN": "yellow"}


def clean(text: object) -> str:
    """Text without control characters other than newline and tab."""
    return "".join(c for c in str(text) if c in "\n\t" or (c.isprintable() and c != "\x7f"))


def _line(text: object = "") -> None:
    click.echo(clean(text))


def _one_line(text: object, width: int = 100) -> str:
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


def interval(metric: Answer | None) -> str:
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
    cells = [[_one_line(cell, 72) for cell in row] for row in rows]
    widths = [max([len(h), *(len(row[i]) for row in cells)]) for i, h in enumerate(header)]
    click.secho("  ".join(h.ljust(w) for h, w in zip(header, widths, strict=True)), bold=True)
    for row in cells:
        _line("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())


def _gates(gates: Sequence[Answer]) -> None:
    columns = max((len(g["gate"]) for g in gates), default=0)
    indent = 2 + 12 + 1 + columns + 2
    width = max(40, min(shutil.get_terminal_size((100, 24)).columns, 120) - indent)
    for gate in gates:
        mark = click.style(f"{gate['outcome']:<12}", fg=_MARKS.get(gate["outcome"]))
        needed = "" if gate["required"] else " (not required)"
        reason = textwrap.wrap(clean(gate["reason"]) + needed, width) or [""]
        click.echo(f"  {mark} {clean(gate['gate']):<{columns}}  {reason[0]}")
        for line in reason[1:]:
            click.echo(" " * indent + line)


def run(answer: Answer) -> None:
    """Outcome, gates, the metric that matters, and what to do next."""
    version = f" version {answer['version']}" if answer["version"] else ""
    color = {"promoted": "green", "registered": "green", "rejected": "red"}
    click.secho(
        f"{answer['outcome'].upper()}: {clean(answer['model'])}{version}",
        fg=color.get(answer["outcome"]),
        bold=True,
    )
    _line(f"  {answer['reason']}")
    if answer["gates"]:
        _line()
        _gates(answer["gates"])
    metrics = answer["metrics"]
    if metrics:
        _line()
        for name in (
            "val_bits_per_byte",
            "baseline_kn6_bits_per_byte",
            "champion_bits_per_byte",
            "train_tokens_per_second",
            "params",
        ):
            if name in metrics:
                _line(f"  {name:<28} {interval(metrics[name])}")
    seconds = answer["seconds"]
    if seconds:
        _line()
        parts = ", ".join(f"{k} {v:.1f}" for k, v in seconds.items() if k != "total")
        _line(f"  seconds: {parts}; total {seconds.get('total', sum(seconds.values())):.1f}")
    if answer["_report"]:
        _line(f"  report: {answer['_report']}")
    _line()
    option = f" --model {answer['model']}"
    if answer["champion"]:
        _line(f'  lmcore generate{option} --prompt "..."   continue a text')
    if answer["version"]:
        _line(f"  lmcore show {answer['version']}{option}   metrics, gates, lineage, report")
    _line("  lmcore status   what is in use")


def sweep(answer: Answer) -> None:
    """One row a rate, and what to do."""
    rows = []
    for run in answer["runs"]:
        rate = f"{run['learning_rate']:g}"
        marks = [
            name
            for name, value in (
                ("configured", answer["configured"]),
                ("recommended", answer["recommended"]),
            )
            if value == run["learning_rate"]
        ]
        if run["diverged"]:
            rows.append((rate, "diverged", "-", ", ".join(marks)))
            continue
        minus = run["minus_best"]
        best = minus["value"] == 0.0
        rows.append(
            (
                rate,
                interval(run["tune_bits_per_byte"]),
                "best" if best else interval(minus),
                ", ".join(marks),
            )
        )
    table(rows, ("learning rate", "tune [95 % bounds]", "minus the best", ""))
    _line()
    _line(answer["sentence"])
    _line(
        f"One seed, {answer['steps']:,} steps a rate: the luck of the initial weights is not in the"
        " bounds."
    )
    if answer["recommended"] not in (None, answer["configured"]):
        _line()
        _line(f"  lmcore run --set {answer['set']}")


def init(answer: Answer) -> None:
    """What was found and what to run."""
    _line(f"Wrote {answer['config']}")
    for sentence in answer["found"]:
        _line(f"  {sentence}")
    _line()
    _line(f"  lmcore run --config {answer['config']}")


def status(answer: Answer) -> None:
    """One block a model."""
    if not answer["models"]:
        _line("No model yet. `lmcore run` makes one.")
    for model in answer["models"]:
        click.secho(f"{clean(model['model'])} ({model['task']})", bold=True)
        for alias in ("champion", "previous", "challenger"):
            _line(f"  {alias:<11} {'version ' + str(model[alias]) if model[alias] else '-'}")
        metric = model["metrics"].get("val_bits_per_byte")
        if metric:
            _line(f"  validation  {interval(metric)}")
        last = model["last_run"]
        if last:
            _line(f"  last run    {last['outcome']} at {last['at']}: {_one_line(last['reason'])}")
        _line(f"  schedule    {model['schedule'] or '-'}")


def history(answer: Answer) -> None:
    """The events, oldest first."""
    if not answer["events"]:
        _line("Nothing has happened yet.")
        return
    table(
        [
            (
                e["at"],
                e["action"],
                e["model"],
                e["from"] or "-",
                e["to"] or "-",
                e["who"],
                e["reason"],
            )
            for e in answer["events"]
        ],
        ("at", "action", "model", "from", "to", "who", "reason"),
    )


def versions(answer: Answer) -> None:
    """The versions, newest first."""
    if not answer["versions"]:
        _line("No version yet.")
        return
    table(
        [
            (
                v["version"],
                v["outcome"],
                ", ".join(v["aliases"]) or "-",
                interval(v["metrics"].get("val_bits_per_byte")),
                v["created"],
            )
            for v in answer["versions"]
        ],
        ("version", "outcome", "aliases", "validation", "created"),
    )


def show(answer: Answer) -> None:
    """All about one version."""
    aliases = f" ({', '.join(answer['aliases'])})" if answer["aliases"] else ""
    click.secho(f"{clean(answer['model'])} version {answer['version']}{aliases}", bold=True)
    _line(f"  {answer['outcome']}: {answer['reason']}")
    _line()
    _gates(answer["gates"])
    _line()
    table(
        [
            (name, interval(metric), metric.get("n", "-"))
            for name, metric in answer["metrics"].items()
        ],
        ("metric", "value [95 % bounds]", "n"),
    )
    _line()
    _line("sources")
    for source in answer["lineage"]["sources"]:
        _line(
            f"  {source['documents']:,} documents, {source['bytes']:,} bytes, licence "
            f"{source['license']}: {_one_line(source['origin'])}"
        )
    _line()
    for name, value in answer["fingerprints"].items():
        _line(f"  {name:<10} {value or '-'}")
    _line(f"  {'report':<10} {answer['report']}")
    _line(f"  {'card':<10} {answer['card']}")


def compare(answer: Answer) -> None:
    """Which version is better, and how sure that is."""
    _line(answer["sentence"])
    first, second = answer["first"], answer["second"]
    _line(f"  version {first['version']:<4} {interval(first['bits_per_byte'])}")
    _line(f"  version {second['version']:<4} {interval(second['bits_per_byte'])}")
    _line(f"  difference   {interval(answer['difference'])} over {answer['documents']} documents")


def promote(answer: Answer) -> None:
    """What moved."""
    _line(answer["sentence"])


rollback = promote


def generate(answer: Answer) -> None:
    """The prompt and its continuation, piece by piece as it is drawn; several under numbers."""
    generations = answer.get("generations")
    if generations is None:
        click.echo(clean(answer["prompt"]), nl=False)
        try:
            for piece in answer["_pieces"]:
                click.echo(clean(piece), nl=False)
        finally:
            # Ctrl-C and errors too leave a whole line behind.
            click.echo()
        return
    for place, generation in enumerate(generations, start=1):
        click.secho(f"[{place} of {len(generations)}]", bold=True)
        _line(generation["prompt"] + generation["text"])


def score(answer: Answer) -> None:
    """Bits per byte of a file."""
    metric = {**answer["bits_per_byte"], "unit": "bits/byte"}
    _line(f"{interval(metric)} over {metric['n']} documents")


def doctor(answer: Answer) -> None:
    """One line a check."""
    for check in answer["checks"]:
        mark = click.style("ok  " if check["ok"] else "FAIL", fg="green" if check["ok"] else "red")
        click.echo(f"{mark} {clean(check['check']):<22} {clean(check['detail'])}")
