"""Script: several trainings on forked ranks, so that the imports are paid once.

Argument: a job as JSON. Leaves `<root>/<run>/<rank>.json` for each rank of the last life of a run.
"""

import json
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # every optimizer needs it, and it takes longer to import than torch

from lmcore.digests import canonical_json
from lmcore.errors import LmcoreError
from lmcore.lifeline import STORE_VARIABLE, end_with
from lmcore.model.config import ModelConfig
from lmcore.training import loop, resume, worker
from lmcore.training.config import TrainingConfig
from lmcore.training.distributed import process_group
from lmcore.training.events import TrainingEvent
from lmcore.training.launch.agent import loopback_store
from lmcore.training.launch.files import Job, LaunchFiles
from lmcore.training.train import carry_out

torch.set_num_threads(1)
job = json.loads(sys.argv[1])
root = Path(job["root"])


def fork(size: int, body: Callable[[int], None]) -> list[int]:
    """Run a function on so many ranks; returns their exit codes, negative for a signal."""
    store = loopback_store()
    os.environ.update({"WORLD_SIZE": str(size), STORE_VARIABLE: f"{store.host}:{store.port}"})
    children = []
    for rank in range(size):
        driver = os.getpid()
        child = os.fork()
        if not child:
            end_with(driver)
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
            try:
                body(rank)
            except BaseException as error:
                print(rank, repr(error), file=sys.stderr)
                os._exit(1)
            os._exit(0)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def life(run: dict[str, Any], rank: int) -> None:
    """One rank of one life of a run."""
    work = root / run["name"]
    rows: list[Any] = []
    held: list[int] = []
    real_step, real_save = loop.backward_step, resume.save_file

    def step(losses: Any, batch: Any, *args: Any, **kwargs: Any) -> Any:
        rows.append([batch.inputs.tolist(), batch.targets.tolist(), batch.fresh])
        weights = list(losses.parameters())
        kept = [w.to_local() if hasattr(w, "to_local") else w for w in weights]
        held[:] = [sum(w.numel() for w in some) for some in (kept, weights)]
        if run.get("kill") == [rank, len(rows)]:
            os.kill(os.getpid(), signal.SIGKILL)
        return real_step(losses, batch, *args, **kwargs)

    def save(tensors: Any, path: Path) -> None:
        if run.get("kill") == ["save", len(rows)]:
            path.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        real_save(tensors, path)

    loop.backward_step, resume.save_file = step, save
    events: list[str] = []

    def on_event(event: TrainingEvent) -> None:
        events.append(f"{event.kind} {event.step}")

    stop_at = run.get("stop", math.inf)
    result: dict[str, Any] = {}
    (work / "output").mkdir(parents=True, exist_ok=True)
    training = TrainingConfig.model_validate({**job["training"], **run.get("training", {})})
    try:
        with process_group("cpu", shards=training.shard_weights) as world:
            summary = carry_out(
                Job(
                    shards=Path(run["shards"]),
                    shards_key="shards",
                    tokenizer=Path(job["tokenizer"]),
                    tokenizer_key="tokenizer",
                    model=ModelConfig.model_validate({**job["model"], **run.get("model", {})}),
                    training=training,
                    replay=None,
                    folder=work / "folder",
                    output=work / "output",
                    threads=1,
                ),
                on_event=on_event if world.leads else None,
                should_stop=(lambda: len(rows) >= stop_at) if world.leads else None,
                world=world,
            )
        result["summary"] = dict(summary)
    except LmcoreError as error:
        result["error"] = [type(error).__name__, str(error)]
    if rank == 0 and "summary" in result:
        for name in ("log.jsonl", "plan.json"):
            result[name] = (work / "output" / name).read_text()
        point = max((work / "folder" / "points").iterdir())
        result["point"] = json.loads((point / "manifest.json").read_text())["files"]
    told = root / run.get("as", run["name"])
    told.mkdir(exist_ok=True)
    (told / f"{rank}.json").write_text(
        json.dumps({**result, "rows": rows, "held": held, "events": events})
    )


def collectives(rank: int) -> None:
    """What each operation of a `World` gives on a rank."""
    with process_group("cpu") as world:
        lanes = torch.arange(6.0).view(6, 1)[world.rows(6)]
        gathered = world.gather_lanes([lanes, lanes > 2, lanes.long()])
        result = {
            "sums": world.sums(0.1 * (rank + 1), rank),
            "means": world.means(rank, 1 / 3),
            "agree": world.agree(rank + 7),
            "text": world.agree_text("größer" if rank == 0 else "other"),
            "gathered": [tensor.flatten().tolist() for tensor in gathered],
            "dtypes": [str(tensor.dtype) for tensor in gathered],
        }
    (root / f"collectives-{rank}.json").write_bytes(canonical_json(result))


def workers(name: str, training: dict[str, Any]) -> None:
    """The worker's own main, as one rank."""
    folder = root / name
    files = LaunchFiles(folder / "launch")
    files.folder.mkdir(parents=True)
    (folder / "output").mkdir()
    files.job.write_text(
        Job(
            shards=Path(job["shards"]),
            shards_key="shards",
            tokenizer=Path(job["tokenizer"]),
            tokenizer_key="tokenizer",
            model=ModelConfig.model_validate(job["model"]),
            training=TrainingConfig.model_validate({**job["training"], **training}),
            replay=None,
            folder=folder,
            output=folder / "output",
            threads=1,
        ).model_dump_json()
    )
    codes = fork(1, lambda _: os._exit(worker.main(files.folder)))
    assert codes == [int("learning_rate" in training)], (name, codes)


for size in (2, 3):
    assert fork(size, collectives) == [0] * size
    for rank in range(size):
        os.replace(root / f"collectives-{rank}.json", root / f"collectives-{size}-{rank}.json")
for run in job["runs"]:
    codes = fork(run["size"], lambda rank, run=run: life(run, rank))  # type: ignore[misc]
    if "kill" in run:
        assert -signal.SIGKILL in codes, (run, codes)
        assert 0 not in codes, (run, codes)
    else:
        assert set(codes) == {0}, (run, codes)
for name, training in job["workers"].items():
    workers(name, training)
