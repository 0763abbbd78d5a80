"""Run the controls over seeds: one stored result a control and seed, then counts.

In come controls and a folder; out come `Counted`s.  Each result is a content folder of its own,
made once: a matrix that was interrupted goes on where it was, and one that was finished is only
read.  Seeds are independent, so they are dealt to processes, each with one thread; the controls of
one seed stay in one process and share its bench.

A result depends on the version of its gate, and on its own module with all that this imports; a
change of any of these runs it again.
"""

from __future__ import annotations

import functools
import json
import logging
import multiprocessing
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

import torch

from lmcore.code_closure import closure, meanings
from lmcore.content_store import ContentStore, Handle
from lmcore.controls.bench import ControlBench
from lmcore.controls.control import Control
from lmcore.digests import digest
from lmcore.durable import atomic_write
from lmcore.errors import LmcoreError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.result import GateResult, guarded
from lmcore.evaluation.gates.standing import Counted
from lmcore.evaluation.gates.version import gate_version

logger = logging.getLogger(__name__)

RESULT_FILE = "result.json"
_POLL_SECONDS = 0.2

ShouldStop = Callable[[], bool]


class ControlRun(Handle):
    """One control at one seed. Summary: gate, control, seed, outcome, as_expected, seconds."""

    kind = "control"

    @property
    def result(self) -> GateResult:
        """What the gate answered."""
        raw = json.loads((self.path / RESULT_FILE).read_text(encoding="utf-8"))
        return GateResult.from_json(raw)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One control at one seed."""

    control: Control
    seed: int


class ControlWorkerError(LmcoreError):
    """A process that ran controls ended without a result."""


OnRun = Callable[[Task, ControlRun], None]


def planned(controls: Sequence[Control], *, seeds: int | None) -> list[Task]:
    """What is to be run, seed by seed.

    Args:
        controls: The rows.
        seeds: Of each; None: as many as each control's cost allows.
    """
    counts = [control.seeds if seeds is None else seeds for control in controls]
    return [
        Task(control=control, seed=seed)
        for seed in range(max(counts, default=0))
        for control, count in zip(controls, counts, strict=True)
        if seed < count
    ]


def run_matrix(
    tasks: Sequence[Task],
    *,
    folder: Path,
    gates: GatesConfig,
    processes: int = 1,
    on_run: OnRun | None = None,
    should_stop: ShouldStop | None = None,
) -> list[tuple[Task, ControlRun]]:
    """Run every task that has no result yet.

    Args:
        tasks: As `planned` gives them.
        folder: Results and what the benches make.
        gates: Limits to try the gates with.
        processes: Seeds worked on side by side.
        on_run: Told each result, found ones too, in the order they come.
        should_stop: Asked between two controls, and in trainings of this process.

    Returns:
        Tasks and results, in the order of tasks; fewer where it was asked to stop.

    Raises:
        ControlWorkerError: If a process ended early.
    """
    store = ContentStore(folder / "results")
    stop = should_stop or (lambda: False)
    found: dict[int, ControlRun] = {}
    keys = [_inputs(task, gates) for task in tasks]

    def note(index: int, run: ControlRun) -> None:
        found[index] = run
        if on_run is not None:
            on_run(tasks[index], run)

    for index, inputs in enumerate(keys):
        if store.path(ControlRun.kind, store.key(ControlRun.kind, inputs)).exists():
            note(index, store.build(ControlRun, inputs, _no_result))
    left = [index for index in range(len(tasks)) if index not in found]
    if processes == 1 or len({tasks[index].seed for index in left}) < 2:
        for index in _run_here(tasks, left, keys, folder=folder, gates=gates, stop=stop):
            note(index, store.build(ControlRun, keys[index], _no_result))
    else:
        for index in _run_apart(
            tasks, left, keys, folder=folder, gates=gates, n=processes, stop=stop
        ):
            note(index, store.build(ControlRun, keys[index], _no_result))
    return [(tasks[index], found[index]) for index in sorted(found)]


def counted(results: Sequence[tuple[Task, ControlRun]]) -> list[tuple[Control, Counted]]:
    """Add up the seeds of each control."""
    by_control: dict[tuple[str, str], list[tuple[Task, ControlRun]]] = {}
    for task, run in results:
        by_control.setdefault((task.control.gate, task.control.name), []).append((task, run))
    rows = []
    for pairs in by_control.values():
        control = pairs[0][0].control
        answers = [run.result for _, run in pairs]
        rows.append(
            (
                control,
                Counted(
                    control=control.name,
                    kind=control.kind,
                    seeds=len(answers),
                    as_expected=sum(control.as_expected(answer) for answer in answers),
                    tolerated=control.tolerated,
                    outcomes=dict(sorted(Counter(answer.outcome for answer in answers).items())),
                    values=[
                        float(f"{answer.value:.4g}")
                        for answer in answers
                        if answer.value is not None
                    ],
                    unit=next((answer.unit for answer in answers if answer.unit), ""),
                    limit=next((a.limit for a in answers if a.limit is not None), None),
                    seconds=round(sum(float(run.summary["seconds"]) for _, run in pairs), 1),
                ),
            )
        )
    return rows


def estimated_seconds(tasks: Sequence[Task], *, processes: int) -> float:
    """About how long the tasks take, the benches included."""
    benches = len({task.seed for task in tasks}) * BENCH_SECONDS
    return (benches + sum(task.control.cost_seconds for task in tasks)) / max(1, processes)


# The corpus and the healthy model of one seed on one core.
BENCH_SECONDS = 5.0


def _inputs(task: Task, gates: GatesConfig) -> Mapping[str, Any]:
    control = task.control
    return {
        "gate": control.gate,
        "control": control.name,
        "seed": task.seed,
        "version": gate_version(control.gate, gates),
        "evaluation": gates.evaluation.model_dump(mode="json"),
        "code": digest(meanings(closure(*control_modules(control)))),
    }


def control_modules(control: Control) -> set[str]:
    """Modules that the case of a control is written in."""
    found = {getattr(part, "__module__", "") for part in _inside(control.run)}
    return {m for m in found if isinstance(m, str) and m.startswith(f"{__package__}.")}


def _inside(run: Any) -> Iterator[Any]:
    # `by_seed` wraps the case; the case's own module is what a change would be in.
    if isinstance(run, functools.partial):
        yield from _inside(run.func)
        return
    yield run
    for cell in getattr(run, "__closure__", None) or ():
        if callable(cell.cell_contents) and cell.cell_contents is not run:
            yield from _inside(cell.cell_contents)


def _run_here(
    tasks: Sequence[Task],
    left: Sequence[int],
    keys: Sequence[Mapping[str, Any]],
    *,
    folder: Path,
    gates: GatesConfig,
    stop: ShouldStop,
) -> Iterator[int]:
    """Run tasks one after the other, with one thread each, and tell of each that is done."""
    store = ContentStore(folder / "results")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for seed in dict.fromkeys(tasks[index].seed for index in left):
            workspace = folder / "benches" / f"seed-{seed}"
            bench = ControlBench(seed=seed, folder=workspace, gates=gates, should_stop=stop)
            for index in (index for index in left if tasks[index].seed == seed):
                if stop():
                    return
                _run_one(store, tasks[index], keys[index], bench)
                yield index
            # Megabytes a seed that nothing will read again: the results are stored.
            shutil.rmtree(workspace, ignore_errors=True)
    finally:
        torch.set_num_threads(threads)


def _run_one(
    store: ContentStore, task: Task, inputs: Mapping[str, Any], bench: ControlBench
) -> ControlRun:
    control = task.control

    def make(folder: Path) -> Mapping[str, Any]:
        started = time.perf_counter()
        result = guarded(control.gate, required=True, judge=lambda _: control.run(bench))
        seconds = time.perf_counter() - started
        atomic_write(folder / RESULT_FILE, json.dumps(result.to_json()))
        return {
            "gate": control.gate,
            "control": control.name,
            "seed": task.seed,
            "outcome": result.outcome,
            "as_expected": control.as_expected(result),
            "seconds": round(seconds, 3),
        }

    return store.build(ControlRun, dict(inputs), make)


def _no_result(folder: Path) -> Mapping[str, Any]:
    raise AssertionError(f"{folder}: the result was there a moment ago")


def _run_apart(
    tasks: Sequence[Task],
    left: Sequence[int],
    keys: Sequence[Mapping[str, Any]],
    *,
    folder: Path,
    gates: GatesConfig,
    n: int,
    stop: ShouldStop,
) -> Iterator[int]:
    """Run tasks in `n` processes, a seed at a time."""
    context = multiprocessing.get_context("spawn")
    seeds = list(dict.fromkeys(tasks[index].seed for index in left))
    work, done = context.Queue(), context.Queue()
    for seed in seeds:
        work.put(seed)
    # With the inputs as they are now: a source that is edited meanwhile changes no key.
    parts = {
        seed: [(_name(tasks[i]), keys[i]) for i in left if tasks[i].seed == seed] for seed in seeds
    }
    workers = [
        context.Process(
            target=_work,
            args=(work, done, parts, folder, gates.model_dump(mode="json"), os.getpid()),
            daemon=True,
        )
        for _ in range(min(n, len(seeds)))
    ]
    place = {(_name(tasks[index]), tasks[index].seed): index for index in left}
    waiting = len(left)
    try:
        for worker in workers:
            worker.start()
        while waiting and not stop():
            try:
                answer = done.get(timeout=_POLL_SECONDS)
            except Empty:
                if all(not worker.is_alive() for worker in workers) and done.empty():
                    codes = [worker.exitcode for worker in workers]
                    raise ControlWorkerError(
                        f"the processes that ran controls ended with {codes} and {waiting} results"
                        " missing; the same command goes on from those that are there"
                    ) from None
                continue
            if isinstance(answer, str):
                raise ControlWorkerError(answer)
            waiting -= 1
            yield place[answer]
    finally:
        # Each result is a whole folder or none, so a process may be ended at any point.
        for worker in workers:
            if worker.pid is not None:
                worker.terminate()
                worker.join()
        if not waiting:
            # A process may have been ended while it cleared its last bench away.
            for seed in seeds:
                shutil.rmtree(folder / "benches" / f"seed-{seed}", ignore_errors=True)
        for queue in (work, done):
            queue.cancel_join_thread()
            queue.close()


def _name(task: Task) -> tuple[str, str]:
    return task.control.gate, task.control.name


def _work(
    work: Any,
    done: Any,
    parts: Mapping[int, Sequence[tuple[tuple[str, str], Mapping[str, Any]]]],
    folder: Path,
    limits: Mapping[str, Any],
    parent: int,
) -> None:
    """A process: take seeds until there are none."""
    import signal

    from lmcore.controls.catalogue import CONTROLS
    from lmcore.lifeline import end_with

    # Ctrl-C reaches the whole group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)
    gates = GatesConfig.model_validate(dict(limits))
    known: dict[tuple[str, str], Control] = {(c.gate, c.name): c for c in CONTROLS}
    try:
        while True:
            try:
                seed = work.get(timeout=1.0)
            except Empty:
                return
            tasks = [Task(control=known[name], seed=seed) for name, _ in parts[seed]]
            keys = [inputs for _, inputs in parts[seed]]
            for index in _run_here(
                tasks, range(len(tasks)), keys, folder=folder, gates=gates, stop=lambda: False
            ):
                done.put((_name(tasks[index]), seed))
    except Exception as error:
        logger.exception("a control broke")
        done.put(f"a control broke ({type(error).__name__}: {error}); see the log above")
