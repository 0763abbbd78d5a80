"""SIGKILL at random points of a run, mid-save included, then the same call: the same bits."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

# Lives are forked from one process, so that the imports are paid once. A life can kill itself
# - at its n-th call of anything (Python or C): any moment of a run;
# - at its n-th operation on the disk: before it happens, or with half of a file written.
DRIVER = """
import hashlib, json, os, random, signal, sys
from pathlib import Path
import safetensors.torch

disk = {"count": 0, "fatal": 0, "saving": False, "trace": []}

def on_disk(name, function, half=None):
    def call(*args, **kwargs):
        disk["count"] += 1
        disk["trace"].append([name, disk["saving"]])
        if disk["count"] == disk["fatal"]:
            if half:
                half(*args)
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call

def half_a_file(tensors, path, *_):
    Path(path).write_bytes(safetensors.torch.save(tensors)[:1000])

# Before anybody imports them by name.
safetensors.torch.save_file = on_disk("write", safetensors.torch.save_file, half_a_file)
os.replace = on_disk("replace", os.replace)
os.fsync = on_disk("fsync", os.fsync)

import numpy as np, torch
from lmcore.content_store import ContentStore
from lmcore.data.documents import DocumentSet
from lmcore.data.tokens.corpus import Corpus
from lmcore.data.tokens.shards import ShardSet
from lmcore.data.tokens.tokenizer import TokenizerHandle
from lmcore.model.config import ModelConfig
from lmcore.training.attempt import Attempt
from lmcore.training.config import TrainingConfig
from lmcore.training.plan import Plan
from lmcore.training.resume import ResumeStore
from lmcore.training.train import train

torch.set_num_threads(1)
torch.manual_seed(7)
np.random.seed(7)
whole_save = ResumeStore.save

def save(self, point):
    disk["saving"] = True
    whole_save(self, point)
    disk["saving"] = False

ResumeStore.save = save
job = json.loads(sys.argv[1])
root = Path(job["root"])
corpus = Corpus(
    documents=DocumentSet(key="none", path=root),
    tokenizer=TokenizerHandle.open(Path(job["tokenizer"])),
    shards=ShardSet.open(Path(job["shards"])),
)

def sha(tensors):
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(tensor.detach().contiguous().numpy().tobytes())
    return total.hexdigest()

def life(work, *, at_call=0, at_disk=0):
    disk.update(count=0, fatal=at_disk, saving=False, trace=[])
    calls, seen, said = [0], {}, []
    def count(frame, event, argument):
        calls[0] += 1
        if calls[0] == at_call:
            os.kill(os.getpid(), signal.SIGKILL)
    def on_event(event):
        if event.kind in ("resume", "recovery"):
            said.append(event.message)
        if event.kind == "done":
            points = next(work.glob("runs/*/points"))
            point = ResumeStore(points).load()
            seen.update(
                points=len([*points.iterdir()]),
                step=point.progress.step,
                model=sha(point.model.values()),
                optimizer=sha(point.optimizer.values()),
                state=sha(point.state),
                best=sha(point.best.values()),
            )
    sys.setprofile(count)
    checkpoint = train(
        Attempt(
            store=ContentStore(work / "store"), work_dir=work / "runs", on_event=on_event
        ),
        corpus,
        model=ModelConfig.model_validate(job["model"]),
        training=TrainingConfig.model_validate(job["training"]),
        replay=Plan.model_validate(job["plan"]),
    )
    sys.setprofile(None)
    log = [{k: v for k, v in line.items() if k != "seconds"} for line in checkpoint.log()]
    summary = checkpoint.summary
    result = {
        "weights": [summary[k] for k in ("weights_sha256", "final_weights_sha256")],
        "log": log,
        "random": [sha([torch.get_rng_state()]), float(np.random.random())],
        "consumed": checkpoint.consumed("final").model_dump(mode="json"),
    }
    # A life that began after the end of the training finds it done and tells nothing.
    if seen:
        result["last point"] = seen
    (work / "said.json").write_text(json.dumps(said))
    (work / "trace.json").write_text(json.dumps([calls[0], disk["trace"]]))
    (work / "result.json").write_text(json.dumps(result))

def forked(work, **fatal):
    child = os.fork()
    if not child:
        code = 1
        try:
            life(work, **fatal)
            code = 0
        except BaseException as error:
            print(work.name, fatal, repr(error), file=sys.stderr)
        os._exit(code)
    status = os.waitpid(child, 0)[1]
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or status == 0, (work.name, fatal, status)
    return killed

def damage(work):
    newest = max(work.glob("runs/*/points/step-*"))
    largest = max(newest.iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)

# In this process, so that every life inherits what is slow at first use.
life(root / "warm-up")
assert not forked(root / "unbroken")
calls, trace = json.loads((root / "unbroken" / "trace.json").read_text())
random_points = random.Random(job["seed"])
saving = [i for i, (_, saves) in enumerate(trace, 1) if saves]
half = [i for i in saving if trace[i - 1][0] == "write"]
kills = [{"at_call": n} for n in random_points.sample(range(1, calls - 100), 10)]
kills += [{"at_disk": n} for n in random_points.sample(saving, 8)]
kills += [{"at_disk": n} for n in random_points.sample(half, 2)]
print(json.dumps({"kills": kills, "saving": len(saving), "half": len(half), "calls": calls}))
for number, fatal in enumerate(kills):
    assert forked(root / f"kill-{number}", **fatal), fatal
    assert not forked(root / f"kill-{number}")

# One run that is killed again and again gets to the end all the same.
for _ in range(6):
    assert forked(root / "again", at_call=calls * 2 // 5)
    if len([*(root / "again").glob("runs/*/points/step-*")]) == 2:
        damage(root / "again")
        break
assert not forked(root / "again")
"""

Results: TypeAlias = dict[str, Any]


def run_driver(bench: Any, *, seed: int) -> tuple[Results, Callable[[str], Results]]:
    """What the driver chose, and a reader of the results that its runs left."""
    reference = bench.train("plan", max_steps=18)
    plan = reference.plan().model_copy(update={"checkpoint_every": 4})
    job = {
        "seed": seed,
        "root": str(bench.root),
        "shards": str(bench.corpus.shards.path),
        "tokenizer": str(bench.corpus.tokenizer.path),
        "model": reference.load().config.model_dump(mode="json"),
        "training": {
            "max_steps": 18,
            "batch_size": 4,
            "sequence_length": 16,
            "precision": "float32",
            "evaluations": 3,
            "learning_rate": 0.01,
        },
        "plan": plan.model_dump(mode="json"),
    }
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(job)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr

    def read(name: str) -> Results:
        result: Results = json.loads((bench.root / name / "result.json").read_text())
        return result

    chosen: Results = json.loads(done.stdout)
    return chosen, read


@pytest.mark.slow
def test_a_run_killed_anywhere_ends_with_the_same_bits(bench: Any) -> None:
    chosen, read = run_driver(bench, seed=0)
    assert len(chosen["kills"]) == 20
    assert sum("at_disk" in kill for kill in chosen["kills"]) == 10
    unbroken = read("unbroken")
    assert unbroken["last point"]["step"] == 18
    assert unbroken["last point"]["points"] == 2
    assert [line["step"] for line in unbroken["log"] if line["kind"] == "evaluation"] == [6, 12, 18]
    for number, kill in enumerate(chosen["kills"]):
        result = read(f"kill-{number}")
        result.setdefault("last point", unbroken["last point"])
        assert result == unbroken, kill
    # Killed again and again, then the newest point was damaged: the one before is taken, aloud.
    assert read("again") == unbroken
    said = json.loads((bench.root / "again" / "said.json").read_text())
    assert any("passed over" in message and "sha256" in message for message in said), said
    assert any("goes on after step" in message for message in said), said
