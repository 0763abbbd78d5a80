"""`lmcore controls`: try every gate on models with a known fault and on sound ones.

No Prefect server is needed and nothing is registered.  Every result is kept below the home folder,
so the same command goes on where it was interrupted.  `--record` writes the counts into the
package and its page into the documentation, which is for those who work on the gates.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from flows.home.environment import current
from flows.home.folders import PROJECT
from flows.home.signals import (
    StepInterrupted,
    StoppedError,
    interruptible,
    polite_signals,
    stop_requested,
)
from flows.progress.job import current as current_job
from flows.progress.sentence import duration
from lmcore.counted import counted as number_of
from lmcore.errors import UserError

if TYPE_CHECKING:
    from lmcore.config import RunConfig
    from lmcore.controls.control import Control
    from lmcore.controls.matrix import ControlRun, Task
    from lmcore.evaluation.gates.standing import ControlRecord, Counted

logger = logging.getLogger(__name__)

_FOUND_SECONDS = 1.0
_MISSED_EXIT = 3
_DEFAULT_NOISE_SEEDS = 10


@command(
    "lmcore controls --gate champion --seeds 20",
    "lmcore controls --config my.yaml",
    "lmcore controls --seed-noise --config my.yaml --seeds 5",
)
@options.config
@click.option("--gate", metavar="NAME", help="Only the controls of this gate.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Seeds of each control; without it 20, and 100 where they are cheap.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Seeds worked on side by side; without it one for each core.",
)
@click.option("--record", is_flag=True, help="Keep the counts in the package (in a checkout).")
@click.option(
    "--seed-noise",
    is_flag=True,
    help="Instead: how far trainings that differ by the seed alone lie apart, on the own text.",
)
def controls(
    config_file: Path | None,
    gate: str | None,
    seeds: int | None,
    processes: int | None,
    record: bool,
    seed_noise: bool,
) -> Answer:
    """Try every gate on models with a known fault and on sound ones.

    The exit code is 3 where a gate let a fault through. The gates are tried with the limits of the
    configuration. What was stopped goes on with the same command.
    """
    from flows.commands.shared.configuration import configuration
    from flows.steps.progress import job_shown

    if seed_noise and (gate is not None or record or processes is not None):
        raise click.UsageError("'--seed-noise' goes with '--config' and '--seeds' alone.")
    home, config = current(), configuration(config_file)
    if seed_noise:
        from flows.commands.shared.seed_noise import seed_noise as measure

        return measure(config, seeds=_DEFAULT_NOISE_SEEDS if seeds is None else seeds)
    if record and config_file is not None:
        raise UserError("--record is for the installed limits; leave --config out")
    with polite_signals(), job_shown("controls", home), current_job().step("controls"):
        from lmcore.controls.catalogue import controls as catalogue
        from lmcore.controls.matrix import (
            counted,
            estimated_seconds,
            planned,
            run_matrix,
        )
        from lmcore.training.events import TrainingInterrupted

        chosen = catalogue(gate)
        page = _page() if record else None
        tasks = planned(chosen, seeds=seeds)
        side_by_side = processes or _cores()
        logger.info(
            "controls: %s of %s, %s, about %s on %s if none is there yet",
            len(chosen),
            number_of(len({control.gate for control in chosen}), "gate"),
            number_of(len(tasks), "run"),
            duration(estimated_seconds(tasks, processes=side_by_side)),
            number_of(side_by_side, "process", "processes"),
        )
        watch = _Watch(len(tasks))
        try:
            with interruptible():
                results = run_matrix(
                    tasks,
                    folder=home.root / "controls",
                    gates=config.gates,
                    processes=side_by_side,
                    on_run=watch.see,
                    should_stop=stop_requested,
                )
        except (StepInterrupted, TrainingInterrupted) as stop:
            raise StoppedError(watch.stopped()) from stop
    if len(results) < len(tasks):
        raise StoppedError(watch.stopped())
    found = _as_record(counted(results), config)
    values = _values(found, seconds=watch.seconds)
    if page is not None:
        _write(found, page)
        values["recorded"] = str(page)
    missed = any(row["missed"] for row in values["controls"])
    return Answer(values=values, text=_text, exit_code=_MISSED_EXIT if missed else 0)


class _Watch:
    """Says how far it is, and every answer that was not expected."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.started = time.perf_counter()
        self._found_before = 0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def see(self, task: Task, run: ControlRun) -> None:
        self.done += 1
        if not run.summary["as_expected"]:
            logger.warning(
                "controls: %s said %s of %s (%s), seed %s: %s",
                task.control.gate,
                run.summary["outcome"],
                task.control.name,
                task.control.kind,
                task.seed,
                run.result.reason,
            )
        # What an earlier call left is read at once and says nothing about the pace.
        if time.perf_counter() - self.started < _FOUND_SECONDS:
            self._found_before = self.done
        current_job().count(
            "" if self.done > self._found_before else "found",
            self.done,
            self.total,
            unit="runs",
            is_step=True,
        )

    def stopped(self) -> str:
        return (
            f"stopped after {self.done} of {number_of(self.total, 'run')}; they are kept, and the"
            " same command goes on"
        )


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _as_record(rows: Sequence[tuple[Control, Counted]], config: RunConfig) -> ControlRecord:
    from lmcore.controls.page import machine
    from lmcore.evaluation.gates.standing import ControlRecord, GateRecord
    from lmcore.evaluation.gates.version import gate_version

    where, today = machine(), datetime.now(UTC).date().isoformat()
    return ControlRecord(
        gates={
            gate: GateRecord(
                version=gate_version(gate, config.gates),
                machine=where,
                date=today,
                controls=tuple(found for control, found in rows if control.gate == gate),
            )
            for gate in dict.fromkeys(control.gate for control, _ in rows)
        }
    )


def _values(record: ControlRecord, *, seconds: float) -> dict[str, Any]:
    rows = [
        {
            "gate": gate,
            "control": counted.control,
            "kind": counted.kind,
            "seeds": counted.seeds,
            "as_expected": counted.as_expected,
            "missed": counted.missed,
            "right": counted.rate.to_json(),
            "wrong": counted.wrong.to_json(),
            "outcomes": dict(counted.outcomes),
            "values": list(counted.values),
            "unit": counted.unit,
            "limit": counted.limit,
            "seconds": counted.seconds,
        }
        for gate, found in record.gates.items()
        for counted in found.controls
    ]
    gates = [
        {
            "gate": gate,
            "version": found.version,
            "status": record.standing(gate, found.version).status,
        }
        for gate, found in record.gates.items()
    ]
    machine = next((found.machine for found in record.gates.values()), "")
    return {"controls": rows, "gates": gates, "machine": machine, "seconds": round(seconds, 1)}


def _page() -> Path:
    """Where the page is, which is in a checkout only."""
    page = PROJECT / "docs" / "controls.md"
    if not (page.parent / "architecture.md").exists():
        raise UserError(
            "--record writes into the package and its docs folder, so it needs a checkout of the"
            " project; without one, leave it out"
        )
    return page


def _write(found: ControlRecord, page: Path) -> None:
    """Replace the counts of the gates that were run; the others stay."""
    from flows.home.access import as_the_user
    from lmcore.controls.page import controls_page
    from lmcore.durable import atomic_write
    from lmcore.evaluation.gates.standing import shipped_path, shipped_record

    record = shipped_record()
    for gate, counts in found.gates.items():
        record = record.with_gate(gate, counts)
    with as_the_user():
        record.write(shipped_path())
        atomic_write(page, controls_page(record))


def _text(answer: Values) -> None:
    """One row a control, then what it means for the gates."""
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
    text.table(rows, header)
    text.line()
    for gate in answer["gates"]:
        mark = "FAIL" if gate["status"] == "missed" else "PASS"
        words = {
            "vouched": "caught every negative control",
            "missed": "missed a negative control: it cannot vote PASS",
            "not run": "has no negative control here",
        }[gate["status"]]
        text.line("  ", text.styled(gate["gate"], text.MARKS[mark]), f" {words}")
    if "recorded" in answer:
        text.line(f"  recorded in {answer['recorded']}")
