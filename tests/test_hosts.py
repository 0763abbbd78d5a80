"""deploy/hosts: what is started on each host, and a manifest that says what the script reads."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from lmcore.training.config import TrainingConfig

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "deploy" / "hosts" / "run.sh"


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """Commands that write down how they were called, and end as CODE says."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("lmcore", "python", "srun", "scontrol"):
        stub = folder / name
        stub.write_text(
            f'#!/bin/sh\necho "{name} $*" >> "$CALLS"\n'
            + {
                "lmcore": 'exit "${CODE:-0}"\n',
                # The first host ends while this one takes part.
                "python": 'touch "$LMCORE_HOME/ended-$JOB"\nexit 1\n',
                "srun": 'echo "srun at $MASTER_ADDR:$MASTER_PORT of $JOB" >> "$CALLS"\n',
                "scontrol": "printf 'node7\\nnode8\\n'\n",
            }[name]
        )
        stub.chmod(0o755)
    return folder


def started(
    script: Path, stubs: Path, *arguments: str, **environment: str
) -> tuple[int, list[str], str]:
    """Exit code, calls and errors of a script."""
    calls = stubs.parent / "calls"
    done = subprocess.run(
        [str(script), *arguments],
        env={
            "PATH": f"{stubs}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "LMCORE_HOME": str(stubs.parent),
            "PAUSE": "0",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, calls.read_text().splitlines() if calls.exists() else [], done.stderr


@pytest.mark.parametrize(
    "names", [("PET_NODE_RANK", "PET_NNODES"), ("SLURM_NODEID", "SLURM_NNODES")]
)
def test_the_first_host_runs_and_the_others_join(stubs: Path, names: tuple[str, str]) -> None:
    home = stubs.parent
    for host in ("0", "1"):
        environment = {names[0]: host, names[1]: "2", "JOB": f"job-{host}"}
        code, calls, _ = started(SCRIPT, stubs, "--config", "a.yaml", **environment)
        assert code == 0
        assert (home / f"ended-job-{host}").exists()
    assert calls == [
        "lmcore run --config a.yaml --set training.launcher=torchrun --set training.hosts=2",
        f"python -m lmcore.training.launch.join {home} --until {home}/ended-job-1",
    ]


@pytest.mark.parametrize(
    ("code", "told", "ended"), [("0", 0, True), ("3", 0, True), ("2", 2, True), ("1", 1, False)]
)
def test_the_others_stay_where_the_same_command_goes_on(
    stubs: Path, code: str, told: int, ended: bool
) -> None:
    environment = {"PET_NODE_RANK": "0", "PET_NNODES": "2", "JOB": "job", "CODE": code}
    assert started(SCRIPT, stubs, **environment)[0] == told
    assert (stubs.parent / "ended-job").exists() == ended


def test_a_host_that_nobody_numbered_is_refused(stubs: Path) -> None:
    code, calls, error = started(SCRIPT, stubs, JOB="job")
    assert code != 0
    assert not calls
    assert "SLURM_NODEID: is set by srun, PET_NODE_RANK by a TrainJob" in error


def test_slurm_meets_at_its_first_host(stubs: Path) -> None:
    code, calls, error = started(
        ROOT / "deploy" / "hosts" / "slurm.sh",
        stubs,
        *("--config", "a.yaml"),
        **{"SLURM_JOB_ID": "17", "SLURM_JOB_NODELIST": "node[7-8]", "SLURM_SUBMIT_DIR": "."},
        **{"SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "4"},
    )
    assert (code, error) == (0, "")
    assert calls[1:] == [
        "srun --kill-on-bad-exit=1 --label deploy/hosts/run.sh --config a.yaml"
        " --set training.processes=8",
        "srun at node7:29400 of 17",
    ]


def test_the_manifest_says_what_the_script_reads() -> None:
    text = (ROOT / "deploy" / "hosts" / "trainjob.yaml").read_text(encoding="utf-8")
    manifest = yaml.safe_load(text)
    assert manifest["apiVersion"] == "trainer.kubeflow.org/v1alpha1"
    assert manifest["kind"] == "TrainJob"
    assert set(manifest["spec"]) == {"runtimeRef", "trainer", "runtimePatches"}
    trainer = manifest["spec"]["trainer"]
    assert set(trainer) <= {
        *("image", "command", "args", "env", "numNodes", "numProcPerNode", "resourcesPerNode")
    }
    assert trainer["numProcPerNode"] == 1
    given = {entry["name"] for entry in trainer["env"]}
    asked = set(re.findall(r"\$\{?(LMCORE_HOME|JOB)\b", SCRIPT.read_text(encoding="utf-8")))
    assert given == asked == {"LMCORE_HOME", "JOB"}
    home = next(e["value"] for e in trainer["env"] if e["name"] == "LMCORE_HOME")
    (patch,) = manifest["spec"]["runtimePatches"]
    (job,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pod = job["template"]["spec"]["template"]["spec"]
    (mount,) = pod["containers"][0]["volumeMounts"]
    assert home.startswith(mount["mountPath"])
    assert [volume["name"] for volume in pod["volumes"]] == [mount["name"]]
    processes = int(re.findall(r"training\.processes=(\d+)", text)[0])
    limits = trainer["resourcesPerNode"]["limits"]
    assert processes == trainer["numNodes"] * limits["nvidia.com/gpu"]
    TrainingConfig(launcher="torchrun", hosts=trainer["numNodes"], processes=processes)
