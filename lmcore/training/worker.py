"""`torchrun -m lmcore.training.worker FOLDER`: one rank of a training that was launched.

Torch is imported inside: the lifeline to the agent has to hold before.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from lmcore.lifeline import AGENT_VARIABLE, end_with

if TYPE_CHECKING:
    from lmcore.training.launch.files import LaunchFiles, Result


def main(folder: Path) -> int:
    """Do this rank's part of the job in `folder`; what goes wrong is left there in a file."""
    from lmcore.artifacts import atomic_write
    from lmcore.training.launch.files import LaunchFiles, RankError, alive_file, read_job

    files, rank = LaunchFiles(folder), int(os.environ["RANK"])
    _redirect(files.log(rank))
    alive = alive_file(read_job(files).folder).open("ab")  # closed by the end of the process
    fcntl.flock(alive, fcntl.LOCK_SH)
    try:
        result = _train(files, rank)
        if result is not None:
            atomic_write(files.result, result.model_dump_json())
    except Exception as error:
        traceback.print_exc()
        report = RankError(rank=rank, type=type(error).__name__, message=str(error), at=time.time())
        atomic_write(files.error(rank), report.model_dump_json())
        return 1
    return 0


def _train(files: LaunchFiles, rank: int) -> Result | None:
    """Train; the result on rank 0."""
    import torch

    from lmcore.model.pretrained import shelf
    from lmcore.training.distributed import process_group
    from lmcore.training.events import TrainingEvent, TrainingInterrupted
    from lmcore.training.launch.files import Result, event_line, read_job
    from lmcore.training.train import carry_out, find_device

    job = read_job(files)
    if job.base is not None:
        # Beside it lies what the weights to start from name by key.
        shelf.use(job.base.parents[1])
    torch.set_num_threads(job.threads)
    result: Result | None = None
    with (
        files.events.open("a", encoding="utf-8", buffering=1) as stream,
        process_group(find_device(job.training)) as world,
    ):

        def tell(event: TrainingEvent) -> None:
            stream.write(event_line(event))

        try:
            summary = carry_out(
                job,
                on_event=tell if world.leads else None,
                should_stop=files.stop.exists if world.leads else None,
                world=world,
            )
            result = Result(summary=dict(summary))
        except TrainingInterrupted as stop:
            result = Result(step=stop.step, steps=stop.steps)
    return result if world.leads else None


def _redirect(log: Path) -> None:
    """Send all output, that of libraries in C as well, to a file of this rank."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(descriptor, stream.fileno())
    os.close(descriptor)


if __name__ == "__main__":
    end_with(int(os.environ[AGENT_VARIABLE]))
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    if code:
        # An orderly end could wait for ranks that are gone.
        os._exit(code)
