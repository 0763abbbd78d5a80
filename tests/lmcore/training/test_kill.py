"""SIGKILL at many points of a run, mid-save included, then the same call: the same bits."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Kills itself at the n-th call of one of the operations that change something on the disk or
# in memory. Lives are forked, so that the imports are paid once.
DRIVER = """
import json, os, signal, sys
from pathlib import Path
import safetensors.torch, torch
torch.set_num_threads(1)
from lmcore.artifacts import ContentStore
from lmcore.data.shards import ShardSet
from lmcore.data.tokenizer import TokenizerHandle
from lmcore.model.config import ModelConfig
from lmcore.training import resume
from lmcore.training.config import TrainingConfig
from lmcore.training.plan import Plan
from lmcore.training.train import train

job = json.loads(sys.argv[1])
root = Path(job["root"])
shards = ShardSet.open(Path(job["shards"]))
tokenizer = TokenizerHandle.open(Path(job["tokenizer"]))

def counted(function, count, fatal, half=None):
    def call(*args, **kwargs):
        count[0] += 1
        if count[0] == fatal:
            if half:
                half(*args)
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call

def half_a_file(tensors, path):
    Path(path).write_bytes(safetensors.torch.save(tensors)[:1000])

def life(work, fatal):
    count = [0]
    if fatal:
        os.replace = counted(os.replace, count, fatal)
        os.fsync = counted(os.fsync, count, fatal)
        torch.optim.AdamW.step = counted(torch.optim.AdamW.step, count, fatal)
        resume.save_file = counted(resume.save_file, count, fatal, half_a_file)
    points = {}
    def on_event(event):
        if event.kind == "done":
            newest = max(work.glob("runs/*/points/step-*"))
            manifest = json.loads((newest / "manifest.json").read_text())
            points["sha"] = manifest["files"]["tensors.safetensors"][1]
    checkpoint = train(
        ContentStore(work / "store"), shards=shards, tokenizer=tokenizer,
        model=ModelConfig.model_validate(job["model"]),
        training=TrainingConfig.model_validate(job["training"]),
        replay=Plan.model_validate(job["plan"]), work_dir=work / "runs", on_event=on_event,
    )
    log = [{k: v for k, v in line.items() if k != "seconds"} for line in checkpoint.log()]
    weights = [checkpoint.summary[k] for k in ("weights_sha256", "final_weights_sha256")]
    result = {"point": points.get("sha"), "log": log, "weights": weights}
    (work / "result.json").write_text(json.dumps(result))

# In this process, so that every life inherits what is slow at first use.
life(root / "unbroken", 0)
for name, kills in job["runs"].items():
    work = root / name
    for fatal in [*kills, 0]:
        child = os.fork()
        if not child:
            try:
                life(work, fatal)
            except BaseException as error:
                print(name, fatal, repr(error), file=sys.stderr)
                os._exit(1)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        died = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        assert died if fatal else status == 0, (name, fatal, status)
"""


@pytest.mark.slow
def test_a_run_killed_anywhere_ends_with_the_same_bits(bench: Any) -> None:
    reference = bench.train("plan", max_steps=18)
    plan = reference.plan().model_copy(update={"checkpoint_every": 4})
    runs: dict[str, list[int]] = {}
    # Each life gets a little further than the one before, or dies again at the same point.
    runs["often"] = [1, 2, 7, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]
    runs["late"] = [37, 36, 35]
    runs["in the middle of a save"] = [8]
    job = {
        "root": str(bench.root),
        "shards": str(bench.shards.path),
        "tokenizer": str(bench.tokenizer.path),
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
        "runs": runs,
    }
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(job)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    results = {
        name: json.loads((bench.root / name / "result.json").read_text())
        for name in ("unbroken", *runs)
    }
    assert results["unbroken"]["point"] is not None
    for name in runs:
        assert results[name]["weights"] == results["unbroken"]["weights"], name
        assert results[name]["log"] == results["unbroken"]["log"], name
        assert results[name]["point"] == results["unbroken"]["point"], name
