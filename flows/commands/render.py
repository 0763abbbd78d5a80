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
#: Metrics that a run prints, where it has them.
_SHOWN = (
    *("val_bits_per_byte", "baseline_kn6_bits_per_byte", "champion_bits_per_byte"),
    *("accuracy", "baseline_accuracy", "baseline_majority_accuracy", "champion_accuracy"),
    *("macro_f1", "baseline_macro_f1", "calibration_error"),
    *("bleu", "baseline_bleu", "champion_bleu", "chrf", "baseline_chrf"),
    *("rouge1", "baseline_rouge1", "baseline_lead1_rouge1", "baseline_lead3_rouge1"),
    *("rouge2", "baseline_rouge2", "baseline_lead1_rouge2", "baseline_lead3_rouge2"),
    *("rougeL", "baseline_rougeL", "baseline_lead1_rougeL", "baseline_lead3_rougeL"),
    *("champion_rougeL", "train_tokens_per_second", "params"),
)
#: The one that says how good a model is.
_HEADLINES = {
    "val_bits_per_byte": "validation",
    "accuracy": "accuracy",
    "bleu": "BLEU",
    "rougeL": "ROUGE-L",
}
_USES = {"sentiment": "label", "translation": "translate", "summarization": "summarize"}
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


def size(num_bytes: int) -> str:
    """Bytes in the unit that reads well."""
    value, unit = float(num_bytes), "bytes"
    for larger in ("kB", "MB", "GB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"


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
        for name in _SHOWN:
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
    if answer["champion"] and answer["task"] == "language_modelling":
        _line(f'  lmcore generate{option} --prompt "..."   continue a text')
    elif answer["champion"]:
        _line(f'  lmcore predict{option} "..."   {_USES[answer["task"]]} a text')
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


def controls(answer: Answer) -> None:
    """One row a control, then what it means for the gates; or the spread between seeds."""
    if noise := answer.get("seed_noise"):
        _line(
            f"{noise['sigma']['n']} trainings of {clean(answer['model'])} that differ by the seed"
            f" alone ({noise['steps']:,} steps, {noise['params']:,} parameters):"
        )
        _line(f"  standard deviation  {interval(noise['sigma'])}")
        _line(f"  margin of a gain    {number(answer['margin_bits_per_byte'])} bits/byte")
        _line(f"  promoted with it    {noise['promoted']} of {noise['pairs']} ordered pairs")
        _line()
        _line(f"  lmcore run --set {answer['set']}")
        return
    rows = []
    for row in answer["controls"]:
        values = sorted(row["values"])
        middle = values[len(values) // 2] if values else None
        rows.append(
            (
                row["gate"],
                row["kind"],
                row["control"],
                f"{row['as_expected']}/{row['seeds']}",
                f"≥ {row['right']['lower']:.0%}",
                ", ".join(f"{n} {outcome}" for outcome, n in row["outcomes"].items()),
                " .. ".join(f"{v:.3g}" for v in (values[0], middle, values[-1])) if values else "",
                f"{row['limit']:g} {row['unit']}" if row["limit"] is not None else "",
            )
        )
    header = ("gate", "kind", "control", "right", "95 %", "outcomes", "statistic", "limit")
    table(rows, header)
    _line()
    for gate in answer["gates"]:
        mark = "FAIL" if gate["status"] == "missed" else "PASS"
        words = {
            "vouched": "caught every negative control",
            "missed": "missed a negative control: it cannot vote PASS",
            "not run": "has no negative control here",
        }[gate["status"]]
        click.echo(f"  {click.style(clean(gate['gate']), fg=_MARKS[mark])} {words}")
    if "recorded" in answer:
        _line(f"  recorded in {answer['recorded']}")


def init(answer: Answer) -> None:
    """What was found and what to run."""
    _line(f"Wrote {answer['config']}")
    for sentence in answer["found"]:
        _line(f"  {sentence}")
    _line()
    _line(f"  lmcore run --config {answer['config']}")


def monitor(answer: Answer) -> None:
    """Whether the text drifts, and how it differs."""
    colors = {"DRIFTED": "red", "STABLE": "green"}
    click.secho(
        f"{answer['outcome']}: {clean(answer['model'])} version {answer['champion']}",
        fg=colors.get(answer["outcome"], "yellow"),
        bold=True,
    )
    _line(f"  {answer['reason']}")
    found = answer["documents"]
    day = f" up to {answer['as_of']}" if answer["as_of"] else ""
    _line(
        f"  documents{day}: {found['fresh']:,} fresh, {found['known']:,} known,"
        f" {found['near_copies']:,} near-copies of these"
    )
    rows = [
        (label, *(interval(answer[name][side]) for side in ("fresh", "reference", "difference")))
        for name, label in (
            ("bits_per_byte", "bits per byte"),
            ("tokens_per_byte", "tokens per byte"),
            ("unseen_words", "unseen words"),
        )
        if answer[name] is not None
    ]
    if rows:
        _line()
        table(rows, ("", "fresh", "reference", "difference"))
    lengths = answer["lengths"]
    if lengths is not None:
        _line()
        _line(
            f"  median length {lengths['fresh_median']:,.0f} bytes, before"
            f" {lengths['reference_median']:,.0f} (distance {lengths['distance']:.2f},"
            f" p {lengths['p']:.2g})"
        )


def timeline(answer: Answer) -> None:
    """One row a day."""
    rows = []
    for row in answer["rows"]:
        drift, start = row["drift"], row["start"]
        change = drift["difference"] if drift else None
        more = f" {change['value']:+.3f}" if change else ""
        rows.append(
            (
                row["date"],
                row["documents"] if row["documents"] is not None else "-",
                row["fresh"] if row["fresh"] is not None else "-",
                f"{drift['outcome']}{more}" if drift else "-",
                f"{row['champion_before'] or '-'} -> {row['champion'] or '-'}",
                start["origin"] if start else "-",
                interval(row["bits_per_byte"]).removesuffix(" bits/byte"),
                row["outcome"],
            )
        )
    table(
        rows,
        (
            *("date", "documents", "fresh", "drift, bits/byte", "champion", "start"),
            *("bits per byte", "outcome"),
        ),
    )
    _line()
    for row in answer["rows"]:
        if row["outcome"] == "rejected":
            _line(f"  {row['date']}: {row['reason']}")
    _line(f"  {clean(answer['model'])}: {answer['seconds']:.0f} s")


def prune(answer: Answer) -> None:
    """What was deleted, what stays and why."""
    verb = "would be deleted" if answer["dry_run"] else "deleted"
    kinds = ("versions", "models", "runs", "content", "work")
    rows = [
        (kind, f"{len(answer[kind]):,}", size(sum(row["bytes"] for row in answer[kind])))
        for kind in kinds
    ]
    table(rows, (verb, "number", "size"))
    _line(f"  {size(answer['bytes'])} in all")
    for row in answer["versions"]:
        out_of_use = f", quarantined: {row['quarantined']}" if row["quarantined"] else ""
        _line(f"  {row['model']} version {row['version']} ({row['outcome']}{out_of_use})")
    _line()
    table(
        [(row["model"], row["version"], "; ".join(row["reasons"])) for row in answer["kept"]],
        ("kept", "version", "because"),
    )


def status(answer: Answer) -> None:
    """One block a model."""
    if not answer["models"]:
        _line("No model yet. `lmcore run` makes one.")
    for model in answer["models"]:
        click.secho(f"{clean(model['model'])} ({model['task']})", bold=True)
        for alias in ("champion", "previous", "challenger"):
            _line(f"  {alias:<11} {'version ' + str(model[alias]) if model[alias] else '-'}")
        for name, title in _HEADLINES.items():
            if metric := model["metrics"].get(name):
                _line(f"  {title:<11} {interval(metric)}")
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
                interval(next((v["metrics"][n] for n in _HEADLINES if n in v["metrics"]), None)),
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
    for side in (first, second):
        value = side.get("bits_per_byte") or side["quality"]
        _line(f"  version {side['version']:<4} {interval(value)}")
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
        if "text" in answer:
            click.echo(clean(answer["text"]))
            _attributions(answer)
            return
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
        _attributions(generation)


def _attributions(generation: Answer) -> None:
    """What of the new text stands verbatim in the training data, and whose it is."""
    spans = generation.get("attributions")
    if spans is None:
        return
    _line()
    if not spans:
        _line("No piece of it stands verbatim in the training data (common phrases aside).")
    for span in spans:
        _line(f"characters {span['start']} to {span['end']}: {_one_line(span['text'], 200)!r}")
        for document in span["documents"]:
            _line(
                f"  {document['id'][:12]}  {document['license']}  {_one_line(document['name'], 60)}"
                f"  {_one_line(document['source'], 80)}"
            )


def predict(answer: Answer) -> None:
    """One answer alone; several beside their inputs."""
    found = answer["predictions"]
    for one in found:
        output = one["output"]
        if one["probabilities"]:
            output += f"  ({one['probabilities'][one['output']]:.1%})"
        _line(output if len(found) == 1 else f"{_one_line(one['input'], 60)}\t{output}")
        if one["note"]:
            click.echo(f"  note: {clean(one['note'])}", err=True)


def score(answer: Answer) -> None:
    """Bits per byte of a file."""
    metric = {**answer["bits_per_byte"], "unit": "bits/byte"}
    _line(f"{interval(metric)} over {metric['n']} documents")


def lineage(answer: Answer) -> None:
    """Licences and sources with their shares, then documents where they were asked for."""
    click.secho(f"{clean(answer['model'])} version {answer['version']}", bold=True)
    _line(f"  {answer['documents']:,} documents, {answer['bytes']:,} bytes")
    header = ("documents", "bytes", "share", "of what was learnt")

    def rows(entries: Sequence[Answer], *names: str) -> list[tuple[object, ...]]:
        return [
            (
                *(entry[name] for name in names),
                f"{entry['documents']:,}",
                f"{entry['bytes']:,}",
                f"{entry['share']:.1%}",
                f"{entry['trained_share']:.1%}",
            )
            for entry in entries
        ]

    for title, names in (("licenses", ("license",)), ("splits", ("split",))):
        _line()
        table(rows(answer[title], *names), (*names, *header))
    _line()
    table(rows(answer["sources"], "source", "origin"), ("source", "origin", *header))
    if answer["forgotten"]:
        _line()
        _line(f"  {answer['forgotten']:,} of its documents must be forgotten by now: `lmcore run`")
    if answer["list"]:
        _line()
        table(
            [
                (
                    d["id"][:12],
                    d["name"],
                    d["split"],
                    d["license"],
                    f"{d['num_bytes']:,}",
                    "forgotten" if d["forgotten"] else "",
                )
                for d in answer["list"]
            ],
            ("document", "name", "split", "license", "bytes", ""),
        )
    if answer["out"]:
        _line(f"  all documents: {answer['out']}")


def seen(answer: Answer) -> None:
    """One block a version, or that none met it."""
    _concerned(answer)
    for problem in answer["problems"]:
        _line(f"  {problem}")


def _concerned(answer: Answer) -> None:
    named = ", ".join(f"{d['name']} ({d['id'][:12]})" for d in answer["documents"][:5])
    _line(f"{_one_line(named, 400)}{' ...' if len(answer['documents']) > 5 else ''}")
    if not answer["versions"]:
        _line("  No version met it, or a near-copy of it.")
    for version in answer["versions"]:
        aliases = f" ({', '.join(version['aliases'])})" if version["aliases"] else ""
        what = "was trained on it" if version["trained"] else "met it, not in training"
        _line(f"  {version['model']} version {version['version']}{aliases} {what}:")
        for match in version["documents"][:10]:
            _line(
                f"    {match['split']:<11} {match['kind']:<9} {match['share']:>6.1%}"
                f"  {_one_line(match['name'], 60)} ({match['id'][:12]}), {match['license']}"
            )
        if len(version["documents"]) > 10:
            _line(f"    and {len(version['documents']) - 10:,} more")


def forget(answer: Answer) -> None:
    """What is kept out from now on, what was erased, and which versions still know it."""
    _concerned(answer)
    for problem in answer["problems"]:
        _line(f"  {problem}")
    _line()
    if answer["dry_run"]:
        _line("Nothing was changed (--dry-run).")
        return
    scope = f"later version of {answer['model']}" if answer["model"] else "later model"
    _line(f"It is kept out of every {scope}, near-copies too; `lmcore run` trains without it.")
    if not answer["removals"]:
        _line("  It was removed before.")
    _line(f"  {len(answer['erased'])} cached folders were erased.")
    if any(version["trained"] for version in answer["versions"]):
        _line("  The versions above stay as they are: their weights learnt from it.")
    _line("  Your own files were not touched.")


def reproduce(answer: Answer) -> None:
    """Whether the bits are the same, and what differs."""
    name = f"{clean(answer['model'])} version {answer['version']}"
    if answer["identical"]:
        click.secho(f"IDENTICAL: {name} was rebuilt bit for bit", fg="green", bold=True)
    elif answer["rebuilt"]:
        click.secho(f"DIFFERENT: {name} was rebuilt with other weights", fg="red", bold=True)
    else:
        click.secho(f"NOT REBUILT: {name} cannot be made again from here", fg="red", bold=True)
    _line(f"  weights  {answer['weights']}")
    _line(f"  rebuilt  {answer['rebuilt'] or '-'}")
    for mismatch in answer["mismatches"]:
        _line(f"  {_one_line(mismatch, 400)}")


def dashboard(answer: Answer) -> None:
    """Where the page is."""
    models = len(answer["models"])
    _line(f"{answer['path']}")
    _line(f"  {models} {'model' if models == 1 else 'models'}, {answer['bytes']:,} bytes")


def doctor(answer: Answer) -> None:
    """One line a check."""
    for check in answer["checks"]:
        mark = click.style("ok  " if check["ok"] else "FAIL", fg="green" if check["ok"] else "red")
        click.echo(f"{mark} {clean(check['check']):<22} {clean(check['detail'])}")


def up(answer: Answer) -> None:
    """Where everything is, how to log in, and what will run by itself."""
    click.secho(f"READY after {answer['seconds']:.1f} s", fg="green", bold=True)
    for name, what in (
        ("prefect", "flow runs, schedules, events"),
        ("mlflow", "metrics, versions"),
        ("dashboard", "all models"),
    ):
        _line(f"  {name:<10} {answer[name]:<28} {what}")
    _line()
    _line(f"  log in     user {answer['user']}, password {answer['password']}")
    _line(f"             in Prefect as {answer['user']}:{answer['password']}")
    _line(f"  logs       {answer['logs']}")
    _line()
    for model in answer["models"]:
        watch = model["watch_minutes"]
        looks = f", new text every {watch} minutes" if watch else ""
        _line(f"  {model['model']:<24} {model['schedule'] or 'no schedule'}{looks}")
    _line()
    _line("  Other lmcore commands of this home use these servers. Ctrl-C stops everything.")


def deploy(answer: Answer) -> None:
    """What was written where, and how to run it."""
    click.secho(f"DEPLOYED to {answer['server']}", fg="green", bold=True)
    for name in answer["deployments"]:
        _line(f"  {name}")
    _line()
    _line(f"  prefect worker start --pool {answer['pool']}   on each machine that runs them")
