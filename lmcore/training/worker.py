"""`python -m lmcore.training.worker FOLDER`: one rank of a training, whoever started it.

Our agent (torchrun) names the folder of one launch. Another launcher (torchrun, Slurm, a TrainJob)
names LMCORE_HOME, as each of its ranks starts before the text is prepared: the rank waits for the
training there, and with `--until FILE` for the next ones.

Torch is imported inside: the lifeline to the agent has to hold before.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from lmcore.lifeline import AGENT_VARIABLE, INTERFACE_VARIABLE, end_with

if TYPE_CHECKING:
    from lmcore.training.launch.files import Job, LaunchFiles, Result


def main(folder: Path, *, redirect: bool = True) -> int:
    """Do this rank's part of the job in `folder`; what goes wrong is left there in a file.

    Args:
        folder: Of the launch.
        redirect: Whether output goes to a file of this rank.
    """
    from lmcore.durable import atomic_write
    from lmcore.training.hosts.surroundings import read_surroundings
    from lmcore.training.launch.failures import refusal
    from lmcore.training.launch.files import LaunchFiles, RankError, alive_file, read_job

    files, rank = LaunchFiles(folder), read_surroundings(os.environ).rank
    if redirect:
        _redirect(files.log(rank))
    if refusal(files) is not None:
        return 1  # a second attempt would end as the first
    # Of many hosts' files: locked together only where it can be read. The end of the process, too,
    # lets go of it.
    with alive_file(read_job(files).folder).open("a+b") as alive:
        fcntl.flock(alive, fcntl.LOCK_SH)
        try:
            result = _train(files)
            if result is not None:
                atomic_write(files.result, result.model_dump_json())
        except Exception as error:
            traceback.print_exc()
            report = RankError(
                rank=rank, type=type(error).__name__, message=str(error), at=time.time()
            )
            atomic_write(files.error(rank), report.model_dump_json())
            return 1
    return 0


def outside(folder: Path, *, until: Path | None = None) -> int:
    """Be a rank that another launcher started, of one training, or of all until a file is there.

    Args:
        folder: LMCORE_HOME, or the folder of one launch.
        until: The first host makes it when there is nothing more to do.
    """
    from lmcore.training.launch.waiting import wait_for_job

    while files := wait_for_job(folder, until=until):
        if code := main(files.folder, redirect=False):
            return code
        if until is None:
            return 0
    return 0


def _train(files: LaunchFiles) -> Result | None:
    """Train; the result on rank 0."""
    import torch

    from lmcore.model.pretrained import shelf
    from lmcore.training.distributed import process_group
    from lmcore.training.events import TrainingEvent, TrainingInterrupted
    from lmcore.training.launch.files import Result, event_line, read_job
    from lmcore.training.launch.waiting import is_held
    from lmcore.training.train import carry_out, find_device

    job = read_job(files)
    _check(job)
    if job.base is not None:
        # Beside it lies what the weights to start from name by key.
        shelf.use(job.base.parents[1])
    external = job.training.launcher == "external"
    if not external:
        torch.set_num_threads(job.threads)
    result: Result | None = None

    def stops() -> bool:
        # Nobody else ends ranks of another launcher when `lmcore run` was killed.
        return files.stop.exists() or (external and not is_held(files.parent))

    with (
        files.events.open("a", encoding="utf-8", buffering=1) as stream,
        process_group(
            find_device(job.training),
            interface=os.environ.get(INTERFACE_VARIABLE, job.training.interface),
            job=job.id,
            shards=job.training.shard_weights,
        ) as world,
    ):

        def tell(event: TrainingEvent) -> None:
            stream.write(event_line(event))

        try:
            summary = carry_out(
                job,
                on_event=tell if world.leads else None,
                should_stop=stops if world.leads else None,
                world=world,
            )
            result = Result(summary=dict(summary))
        except TrainingInterrupted as stop:
            result = Result(step=stop.step, steps=stop.steps)
    return result if world.leads else None


def _check(job: Job) -> None:
    """Refuse what could not end well, before the ranks wait for each other.

    Raises:
        ConfigError: If there are more or fewer ranks than configured, or a file is not here.
    """
    from lmcore.errors import ConfigError
    from lmcore.training.hosts.surroundings import read_surroundings

    size = read_surroundings(os.environ).size
    if size != job.processes:
        raise ConfigError(
            f"the launcher started {size} ranks, but training.processes is {job.processes}; set"
            f" one to the other"
        )
    for path in (job.shards, job.tokenizer, job.initial, job.base):
        if path is not None and not path.exists():
            raise ConfigError(
                f"{path} is not on {socket.gethostname()}; the hosts of a training share"
                " LMCORE_HOME at the same path"
            )


def _redirect(log: Path) -> None:
    """Send all output, that of libraries in C as well, to a file of this rank."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(descriptor, stream.fileno())
    os.close(descriptor)


def _start() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m lmcore.training.worker",
        description="One rank of a training; the environment says which.",
    )
    parser.add_argument("folder", type=Path, help="LMCORE_HOME, shared by all hosts")
    parser.add_argument("--until", type=Path, help="take part in all until this file is there")
    given = parser.parse_args()
    if AGENT_VARIABLE in os.environ:
        end_with(int(os.environ[AGENT_VARIABLE]))
        return main(given.folder)

    from lmcore.errors import UserError

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        return outside(given.folder.resolve(), until=given.until)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


if __name__ == "__main__":
    code = _start()
    sys.stdout.flush()
    sys.stderr.flush()
    if code:
        # An orderly end could wait for ranks that are gone.
        os._exit(code)
