"""`lmcore timeline`: the days of a dated corpus one after another, in this process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command


@command("lmcore timeline", "lmcore timeline --config dated.yaml")
@options.configuration_file("the embedded example, in five dated parts")
@options.overrides
def timeline(config_file: Path | None, overrides: tuple[str, ...]) -> Answer:
    """Walk through a dated corpus as a schedule would have.

    On each of the days in `timeline.dates` of the configuration: monitor, retrain, promote or
    refuse. A walk that was stopped goes on with the same command.
    """
    from flows.commands.shared.configuration import answer_of_flow, configuration
    from lmcore.config_file import default_config_path

    started = time.perf_counter()
    chosen = config_file or default_config_path().with_name("timeline.yaml")
    name = configuration(chosen, overrides, check_schedule=False).name
    rows = answer_of_flow(_walk, chosen, overrides)
    seconds = round(time.perf_counter() - started, 1)
    return Answer(values={"model": name, "rows": rows, "seconds": seconds}, text=_text)


def _walk() -> Any:
    from flows.timeline import timeline as walk

    return walk


def _text(answer: Values) -> None:
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
                text.interval(row["bits_per_byte"]).removesuffix(" bits/byte"),
                row["outcome"],
            )
        )
    text.table(
        rows,
        (
            *("date", "documents", "fresh", "drift, bits/byte", "champion", "start"),
            *("bits per byte", "outcome"),
        ),
    )
    text.line()
    for row in answer["rows"]:
        if row["outcome"] == "rejected":
            text.line(f"  {row['date']}: {row['reason']}")
    text.line(f"  {answer['model']}: {answer['seconds']:.0f} s")
