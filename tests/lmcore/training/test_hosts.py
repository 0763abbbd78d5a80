"""Two hosts: network namespaces of this machine, with a cable between them.

A host that is killed comes back, whichever it was, and the result has the bits of a training that
nobody disturbed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lmcore.model.config import ModelConfig
from lmcore.training.config import TrainingConfig
from lmcore.training.launch.files import Job

HERE = Path(__file__).parent
FAMILIES = {
    "IPv4": ("10.213.7.1", "10.213.7.2", "24", "10.213.7.1:29411"),
    "IPv6": ("fd21:3::1", "fd21:3::2", "64", "[fd21:3::1]:29411"),
}
SECONDS = 180.0


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@dataclass
class Host:
    """One of the two."""

    name: str
    address: str
    interface: str
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str, log: Path, **environment: str) -> subprocess.Popen[bytes]:
        """Run Python there, in a group of its own."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, sys.executable, *command],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            )
        self.started.append(process)
        return process

    def pids(self) -> list[int]:
        """All that runs there."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True
        )
        return [int(line) for line in listed.stdout.split()]

    def lose_power(self) -> None:
        """End all that runs there at once."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self.started:
            process.wait(SECONDS)

    def listening(self) -> set[tuple[str, int]]:
        """Addresses, as the kernel writes them, and ports that somebody accepts connections on."""
        found = set()
        for table in ("tcp", "tcp6"):
            text = subprocess.run(
                ["ip", "netns", "exec", self.name, "cat", f"/proc/net/{table}"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for line in text.splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    address, port = fields[1].split(":")
                    found.add((address, int(port, 16)))
        return found


@dataclass
class Hosts:
    """Both, and where they meet."""

    first: Host
    second: Host
    meeting: str


def laid(family: str) -> Iterator[Hosts]:
    """Two namespaces; skipped where this machine has none."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need `ip` and the rights of root")
    one, other, prefix, meeting = FAMILIES[family]
    names = [f"lmcore-{os.getpid()}-{number}" for number in (1, 2)]
    cables = [f"lm{os.getpid() % 100000}{letter}" for letter in "ab"]
    try:
        for name in names:
            try:
                ip("netns", "add", name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
        ip("link", "add", cables[0], "netns", names[0], "type", "veth", "peer", "name", cables[1],
           "netns", names[1])  # fmt: skip
        hosts = []
        for name, cable, address in zip(names, cables, (one, other), strict=True):
            plain = ["nodad"] if family == "IPv6" else []
            ip("-n", name, "addr", "add", f"{address}/{prefix}", "dev", cable, *plain)
            ip("-n", name, "link", "set", cable, "up")
            ip("-n", name, "link", "set", "lo", "up")
            hosts.append(Host(name, address, cable))
        both = Hosts(hosts[0], hosts[1], meeting)
        try:
            yield both
        finally:
            for host in hosts:
                host.lose_power()
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@pytest.fixture(params=["IPv4", "IPv6"])
def hosts(request: pytest.FixtureRequest) -> Iterator[Hosts]:
    yield from laid(request.param)


@pytest.fixture
def pair() -> Iterator[Hosts]:
    yield from laid("IPv4")


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for something that is about to be so."""
    deadline = time.monotonic() + SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return value


@dataclass
class Run:
    """One training on the two hosts."""

    root: Path
    job: Job

    @property
    def events(self) -> list[dict[str, Any]]:
        path = self.root / "told"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def points(self) -> list[int]:
        return [event["step"] for event in self.events if event["kind"] == "checkpoint"]

    def lead(self, host: Host, **environment: str) -> subprocess.Popen[bytes]:
        return host.start(
            str(HERE / "hosts_driver.py"),
            *(str(self.root / name) for name in ("told", "done")),
            self.job.model_dump_json(),
            log=self.root / "first.log",
            **environment,
        )

    def join(self, host: Host, *more: str, **environment: str) -> subprocess.Popen[bytes]:
        return host.start(
            *("-m", "lmcore.training.launch.join", str(self.root)),
            *("--interface", host.interface, *more),
            log=self.root / "second.log",
            **environment,
        )

    def summary(self) -> dict[str, Any]:
        """What it came to, as soon as it is done."""
        deadline = time.monotonic() + SECONDS
        while not (self.root / "done").exists():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.05)
        answer = json.loads((self.root / "done").read_text())
        assert "summary" in answer, (answer, self.logs())
        return answer["summary"]  # type: ignore[no-any-return]

    def logs(self) -> str:
        return "\n".join(
            f"{path}: {path.read_text(errors='replace')[-3000:]}"
            for path in sorted(self.root.rglob("*.log"))
        )


@pytest.fixture
def make_run(shared_bench: Any, ranks: Any, tmp_path: Path) -> Callable[..., Run]:
    def make(**training: Any) -> Run:
        corpus = shared_bench.corpus
        job = Job(
            shards=corpus.shards.path,
            shards_key="shards",
            tokenizer=corpus.tokenizer.path,
            tokenizer_key="tokenizer",
            model=ModelConfig.model_validate(RANKS_MODEL),
            training=TrainingConfig.model_validate(
                {**ranks.training, "checkpoint_seconds": 0.001, "processes": 2, **training}
            ),
            replay=None,
            folder=tmp_path / "work" / "run",
            output=tmp_path / "output",
            threads=1,
        )
        return Run(tmp_path, job)

    return make


RANKS_MODEL = {
    "d_model": 16,
    "embedding_dim": 8,
    "num_heads": 2,
    "head_dim": 4,
    "window": 8,
    "dropout": 0.1,
    "mlp_multiple": 1,
}
BITS = ("weights_sha256", "final_weights_sha256", "tune_bits_per_byte")


def bits_of_one_host(ranks: Any) -> list[Any]:
    """What two processes of one host come to that nobody disturbs."""
    reference = ranks.result("two")["summary"]
    return [reference[name] for name in BITS]


def two_hosts(hosts: Hosts) -> dict[str, Any]:
    return {"launcher": "torchrun", "hosts": 2, "rendezvous": hosts.meeting}


@pytest.mark.slow
@pytest.mark.long
def test_two_hosts_give_the_bits_of_two_processes_of_one(
    hosts: Hosts, make_run: Callable[..., Run], ranks: Any
) -> None:
    run = make_run(**two_hosts(hosts))
    leading = run.lead(hosts.first)
    other = run.join(hosts.second)
    deadline = time.monotonic() + SECONDS
    seen: set[tuple[str, int]] = set()
    while not (run.root / "done").exists():
        assert time.monotonic() < deadline, run.logs()
        assert leading.poll() is None or (run.root / "done").exists(), run.logs()
        seen |= hosts.first.listening() | hosts.second.listening()
        time.sleep(0.05)
    assert [run.summary()[name] for name in BITS] == bits_of_one_host(ranks)
    assert (
        "waits for 1 more host: python -m lmcore.training.launch.join" in (run.events[0]["message"])
    )
    assert other.wait(SECONDS) == 0
    # Nothing is open on all addresses; the rendezvous is the one port that is not drawn.
    assert seen
    assert {address for address, _ in seen if not address.strip("0")} == set()
    assert {port for _, port in seen if port < 30000} == {29411}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("how", ["killed", "unplugged"])
def test_a_host_that_is_lost_comes_back_with_the_same_bits(
    pair: Hosts, make_run: Callable[..., Run], ranks: Any, how: str
) -> None:
    run = make_run(**two_hosts(pair))
    run.lead(pair.first)
    run.join(pair.second)
    until(run.points, "no resume point was written")
    if how == "unplugged":
        # Nobody tells the first host that the connections are gone.
        ip("-n", pair.second.name, "link", "set", pair.second.interface, "down")
    pair.second.lose_power()
    before = max(run.points())
    assert not (run.root / "done").exists()
    ip("-n", pair.second.name, "link", "set", pair.second.interface, "up")
    run.join(pair.second)
    summary = run.summary()
    resumed = [event["step"] for event in run.events if event["kind"] == "resume"]
    assert resumed
    assert min(resumed) >= before
    assert [summary[name] for name in BITS] == bits_of_one_host(ranks)


@pytest.mark.slow
@pytest.mark.long
def test_the_first_host_is_killed_and_the_same_command_goes_on(
    pair: Hosts, make_run: Callable[..., Run], ranks: Any
) -> None:
    run = make_run(launcher="torchrun", hosts=2)
    # As in a pod of Kubernetes, where torchrun's own variables are set.
    ended = run.root / "ended"
    pod = {
        "PET_NNODES": "2",
        "PET_NPROC_PER_NODE": "1",
        "PET_MASTER_ADDR": pair.first.address,
        "PET_MASTER_PORT": "29413",
    }
    run.lead(pair.first, PET_NODE_RANK="0", **pod)
    other = run.join(pair.second, "--until", str(ended), PET_NODE_RANK="1", **pod)
    until(run.points, "no resume point was written")
    pair.first.lose_power()
    before = max(run.points())
    assert not (run.root / "done").exists()
    run.lead(pair.first, PET_NODE_RANK="0", **pod)
    summary = run.summary()
    resumed = [event["step"] for event in run.events if event["kind"] == "resume"]
    assert resumed
    assert min(resumed) >= before
    assert [summary[name] for name in BITS] == bits_of_one_host(ranks)
    assert other.poll() is None
    ended.touch()
    assert other.wait(SECONDS) == 0


def external(rank: int, kind: str, host: Host) -> dict[str, str]:
    """The environment of a launcher."""
    names = {
        "srun": ("SLURM_PROCID", "SLURM_NTASKS", "MASTER_ADDR", "MASTER_PORT"),
        "pod": ("PET_NODE_RANK", "PET_NNODES", "PET_MASTER_ADDR", "PET_MASTER_PORT"),
    }[kind]
    return dict(zip(names, (str(rank), "2", host.address, "29412"), strict=True))


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("kind", ["srun", "pod"])
def test_ranks_of_another_launcher_give_the_same_bits(
    pair: Hosts, make_run: Callable[..., Run], ranks: Any, kind: str
) -> None:
    run = make_run(launcher="external")
    # The ranks start first, as they do where one command starts all of them.
    workers = [
        host.start(
            *("-m", "lmcore.training.worker", str(run.root)),
            log=run.root / f"worker-{rank}.log",
            **external(rank, kind, pair.first),
        )
        for rank, host in enumerate((pair.first, pair.second))
    ]
    run.lead(pair.first)
    assert [run.summary()[name] for name in BITS] == bits_of_one_host(ranks)
    assert [worker.wait(SECONDS) for worker in workers] == [0, 0]
    assert "waits for 2 ranks: python -m lmcore.training.worker" in run.events[0]["message"]


@pytest.mark.slow
@pytest.mark.long
def test_torchrun_of_somebody_else_starts_ranks_again_with_the_same_bits(
    pair: Hosts, make_run: Callable[..., Run], ranks: Any
) -> None:
    run = make_run(launcher="external")
    run.lead(pair.first)
    agents = [
        host.start(
            *("-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={number}"),
            *("--nproc-per-node=1", "--max-restarts=3", f"--master-addr={pair.first.address}"),
            *("--master-port=29412", "--monitor-interval=0.1"),
            *("-m", "lmcore.training.worker", str(run.root)),
            log=run.root / f"torchrun-{number}.log",
        )
        for number, host in enumerate((pair.first, pair.second))
    ]
    until(run.points, "no resume point was written")
    for pid in pair.second.pids():
        if "LOCAL_RANK=0" in Path(f"/proc/{pid}/environ").read_text().split("\0"):
            os.kill(pid, signal.SIGKILL)
    assert [run.summary()[name] for name in BITS] == bits_of_one_host(ranks)
    assert "resume" in [event["kind"] for event in run.events]
    assert [agent.wait(SECONDS) for agent in agents] == [0, 0]
