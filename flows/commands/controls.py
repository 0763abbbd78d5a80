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

from flows.home.configurations import names_the_hub
from flows.home.environment import allow_hub, current
from flows.home.folders import PROJECT
from flows.home.locks import using_content
from flows.home.signals import StoppedError, polite_signals, stop_requested
from lmcore.config import RunConfig
from lmcore.config_file import load_config
from lmcore.errors import UserError

if TYPE_CHECKING:
    from lmcore.controls.control import Control
    from lmcore.controls.matrix import ControlRun, Task
    from lmcore.evaluation.gates.standing import ControlRecord, Counted

logger = logging.getLogger(__name__)

Answer = dict[str, Any]
_SECONDS_BETWEEN_LINES = 10.0
_MISSED_EXIT = 3
_DEFAULT_NOISE_SEEDS = 10


def run_controls(
    config_file: Path | None,
    *,
    gate: str | None,
    seeds: int | None,
    processes: int | None,
    record: bool,
) -> tuple[Answer, int]:
    """Run the matrix, or one gate's rows of it.

    Args:
        config_file: Whose limits the gates are tried with; None: the installed ones.
        gate: Only this one.
        seeds: Of each control; None: 20, and 100 where they are cheap.
        processes: Seeds worked on side by side; None: one for each core.
        record: Whether the counts replace those that ship with the package.

    Returns:
        The answer, and 3 where a negative control was missed.

    Raises:
        UserError: If the gate is unknown, or there is no checkout to record into.
        StoppedError: If the user stopped; what was counted is kept.
    """
    home, config = current(), _config(config_file)
    if record and config_file is not None:
        raise UserError("--record is for the installed limits; leave --config out")
    with polite_signals():
        from lmcore.controls.catalogue import controls
        from lmcore.controls.matrix import (
            counted,
            estimated_seconds,
            planned,
            run_matrix,
        )
        from lmcore.training.events import TrainingInterrupted

        chosen = controls(gate)
        page = _page() if record else None
        tasks = planned(chosen, seeds=seeds)
        side_by_side = processes or _cores()
        logger.info(
            "controls: %s of %s gates, %s runs, about %s on %s processes if none is there yet",
            len(chosen),
            len({control.gate for control in chosen}),
            f"{len(tasks):,}",
            _duration(estimated_seconds(tasks, processes=side_by_side)),
            side_by_side,
        )
        watch = _Watch(len(tasks))
        try:
            results = run_matrix(
                tasks,
                folder=home.root / "controls",
                gates=config.gates,
                processes=side_by_side,
                on_run=watch.see,
                should_stop=stop_requested,
            )
        except TrainingInterrupted as stop:
            raise StoppedError(watch.stopped()) from stop
    if len(results) < len(tasks):
        raise StoppedError(watch.stopped())
    found = _as_record(counted(results), config)
    answer = _answer(found, seconds=watch.seconds)
    if page is not None:
        _write(found, page)
        answer["recorded"] = str(page)
    missed = any(row["missed"] for row in answer["controls"])
    return answer, _MISSED_EXIT if missed else 0


def measure_noise(config_file: Path | None, *, seeds: int | None) -> Answer:
    """Measure the spread between seeds on a pipeline's own text and model.

    Args:
        config_file: The pipeline; None: the embedded default.
        seeds: How many trainings; None: 10.

    Raises:
        UserError: If the configuration or a source is wrong, or fewer than 2 seeds are asked for.
        StoppedError: If the user stopped between two steps.
        TrainingInterrupted: If the user stopped a training; the same command goes on.
    """
    count = _DEFAULT_NOISE_SEEDS if seeds is None else seeds
    if count < 2:
        raise UserError(f"--seeds {count}: a spread needs at least 2 trainings")
    home, config = current(), _config(config_file)
    if names_the_hub(config):
        allow_hub()
    with polite_signals(), using_content(home.locks):
        from flows.steps.ingest_documents import fingerprint, ingest_documents
        from flows.steps.tokenize_documents import tokenize_documents
        from lmcore.artifacts import ContentStore
        from lmcore.controls.seed_noise import SeedRun, measure_seed_noise
        from lmcore.training.attempt import Attempt

        def on_run(seed: int, run: SeedRun) -> None:
            logger.info("seed %s: %.4f bits/byte", seed, run.summary["bits_per_byte"])
            if stop_requested():
                raise StoppedError("stopped; finished seeds are kept, and the same command goes on")

        documents = ingest_documents(config, fingerprint(config), home)
        corpus = tokenize_documents(config, documents, home)
        noise = measure_seed_noise(
            Attempt(
                store=ContentStore(home.content), work_dir=home.work, should_stop=stop_requested
            ),
            corpus,
            model=config.model,
            training=config.training.model_copy(update={"start": "scratch"}),
            gates=config.gates,
            seeds=count,
            on_run=on_run,
        )
    limits = config.gates.champion.model_copy(
        update={"seed_sigma_bits_per_byte": noise.sigma.value}
    )
    return {
        "controls": [],
        "model": config.name,
        "seed_noise": noise.to_json(),
        "margin_bits_per_byte": limits.margin_bits_per_byte,
        "set": f"gates.champion.seed_sigma_bits_per_byte={noise.sigma.value:.4f}",
    }


class _Watch:
    """Says how far it is, now and then, and every answer that was not expected."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.started = self._said = time.perf_counter()
        self._found_before: int | None = None

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
        now = time.perf_counter()
        if now - self._said < _SECONDS_BETWEEN_LINES and self.done < self.total:
            return
        # What an earlier call left is read at once and says nothing about the pace.
        if self._found_before is None and now - self.started > 1.0:
            self._found_before = self.done - 1
        fresh = self.done - (self._found_before or 0)
        left = (self.total - self.done) * (now - self.started) / max(1, fresh)
        self._said = now
        logger.info(
            "controls: %s of %s runs%s",
            self.done,
            self.total,
            f", about {_duration(left)} left" if self.done < self.total else "",
        )

    def stopped(self) -> str:
        return (
            f"stopped after {self.done} of {self.total} runs; they are kept, and the same command"
            " goes on"
        )


def _config(config_file: Path | None) -> RunConfig:
    home = current()
    return load_config(
        home.resolve(config_file) if config_file else None,
        overrides=(),
        started_in=home.started_in,
    )


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


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


def _answer(record: ControlRecord, *, seconds: float) -> Answer:
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
    from lmcore.artifacts import atomic_write
    from lmcore.controls.page import controls_page
    from lmcore.evaluation.gates.standing import shipped_path, shipped_record

    record = shipped_record()
    for gate, counts in found.gates.items():
        record = record.with_gate(gate, counts)
    record.write(shipped_path())
    atomic_write(page, controls_page(record))
