"""Real processes: events, a stop, errors, SIGKILL here and there, and nothing left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmcore.config import RunConfig
from lmcore.errors import ConfigError, TrainingError
from lmcore.model.config import ModelConfig
from lmcore.training.config import TrainingConfig
from lmcore.training.events import TrainingEvent, TrainingInterrupted
from lmcore.training.launch import launcher
from lmcore.training.launch.files import (
    Job,
    LaunchFiles,
    RankError,
)
from lmcore.training.launch.launcher import launch

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are counted in /proc"
)


def processes(folder: Path) -> dict[int, dict[str, str]]:
    """Environments of all processes that have a folder in their command line, by number."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            if f"{folder}/".encode() in command and int(entry.name) != os.getpid():
                pairs = (entry / "environ").read_text(errors="replace").split("\0")
                found[int(entry.name)] = dict(p.split("=", 1) for p in pairs if "=" in p)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def none_is_left(folder: Path) -> bool:
    """Whether all are gone; the kernel may need a moment for them."""
    for _ in range(200):
        if not processes(folder):
            return True
        time.sleep(0.05)
    return False


def listening_addresses(pids: set[int]) -> set[str]:
    """Local addresses that processes accept connections on, as the kernel writes them."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            inodes.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(fields[1].split(":")[0])
    return found


def in_a_child(body: Callable[[], None]) -> int:
    """Run a function in a forked process; returns its number."""
    child = os.fork()
    if not child:
        try:
            body()
        finally:
            os._exit(1)
    return child


@pytest.mark.slow
@pytest.mark.long
def test_a_launched_run_survives_kills_and_a_stop_with_the_same_bits(
    bench: Any, ranks: Any, tmp_path: Path
) -> None:
    """The same call again and again; forked ranks without a break are the reference."""
    told = tmp_path / "told"

    def train(**more: Any) -> Any:
        return bench.train(
            **{**ranks.training, "checkpoint_seconds": 0.001},
            launcher="torchrun",
            processes=2,
            **more,
        )

    # The parent is killed: the agent and the ranks end with it.
    def tell(event: TrainingEvent) -> None:
        if event.kind == "checkpoint":
            told.write_text(str(event.step))

    parent = in_a_child(lambda: train(on_event=tell))
    while not told.exists():
        time.sleep(0.01)
        assert os.waitpid(parent, os.WNOHANG)[0] == 0
    running = processes(tmp_path)
    assert sorted(e.get("RANK", "agent") for e in running.values()) == ["0", "1", "agent"]
    assert listening_addresses(set(running)) == {"0100007F"}  # 127.0.0.1
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert none_is_left(tmp_path)

    # A rank is killed: the call says so.
    events: list[TrainingEvent] = []

    def kill_rank_1(event: TrainingEvent) -> None:
        events.append(event)
        if event.kind == "checkpoint":
            for pid, environment in processes(tmp_path).items():
                if environment.get("RANK") == "1":
                    os.kill(pid, signal.SIGKILL)

    with pytest.raises(TrainingError, match=r"process 1 .* ended by SIGKILL") as killed:
        train(on_event=kill_rank_1)
    assert none_is_left(tmp_path)
    assert events[0].kind == "resume"
    assert events[0].step >= int(told.read_text())
    assert "resume point in" in str(killed.value)

    # A stop is asked for: the state is saved.
    before = events[-1].step
    events.clear()
    with pytest.raises(TrainingInterrupted) as stopped:
        train(on_event=events.append, should_stop=lambda: bool(events))
    assert none_is_left(tmp_path)
    assert events[0].kind == "resume"
    assert before <= stopped.value.step < stopped.value.steps == 12
    logs = stopped.value.where / "launch"
    assert {path.name for path in logs.glob("*.log")} == {"agent.log", "rank-0.log", "rank-1.log"}

    # Left alone it ends, with the bits of a run that nobody disturbed.
    events.clear()
    checkpoint = train(on_event=events.append)
    assert (events[0].kind, events[0].step) == ("resume", stopped.value.step)
    assert events[-1].kind == "done"
    reference = ranks.result("two")["summary"]
    for name in ("weights_sha256", "final_weights_sha256", "tune_bits_per_byte"):
        assert checkpoint.summary[name] == reference[name]
    assert checkpoint.plan().processes == 2
    assert not list((bench.root / "work" / "runs").iterdir())
    assert none_is_left(tmp_path)


def test_launcher_and_timeout_are_no_part_of_the_key(bench: Any, ranks: Any) -> None:
    made = bench.train(max_steps=2)
    events: list[TrainingEvent] = []
    again = bench.train(max_steps=2, launcher="torchrun", timeout_seconds=9, on_event=events.append)
    assert again.path == made.path
    assert not events
    config = {"name": "a", "sources": [{"path": "a.txt", "license": "unknown", "origin": "here"}]}
    one, two = (
        RunConfig.model_validate({**config, "training": training}).fingerprint()
        for training in ({}, {"launcher": "torchrun", "timeout_seconds": 9})
    )
    assert one == two


# An agent with two ranks in sessions of their own; none of them minds SIGTERM.
STUBBORN = """
import fcntl, os, signal, subprocess, sys, time
from pathlib import Path
from lmcore.training.launch.files import LaunchFiles, alive_file, read_job
from lmcore.lifeline import end_with
# Not `getppid`, which is somebody else's as soon as the parent has gone.
end_with(int(sys.argv[2]))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
files = LaunchFiles(Path(sys.argv[1]))
if len(sys.argv) < 4:
    for rank in range(2):
        command = [sys.executable, __file__, sys.argv[1], str(os.getpid()), str(rank)]
        subprocess.Popen(command, start_new_session=True)
else:
    lock = alive_file(read_job(files).folder).open("ab")
    fcntl.flock(lock, fcntl.LOCK_SH)
    with files.events.open("a") as stream:
        stream.write('{"kind": "step", "step": %s, "steps": 9}' % sys.argv[3] + chr(10))
time.sleep(1000)
"""


@pytest.fixture
def stubborn(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    monkeypatch.setattr(launcher, "_AGENT", [str(tmp_path / "stubborn.py")])
    monkeypatch.setattr(launcher, "_GRACE_SECONDS", 0.2)
    return Job(
        shards=bench.corpus.shards.path,
        shards_key="shards",
        tokenizer=bench.corpus.tokenizer.path,
        tokenizer_key="tokenizer",
        model=ModelConfig(),
        training=TrainingConfig(launcher="torchrun", processes=2),
        replay=None,
        folder=tmp_path / "run",
        output=tmp_path / "output",
        threads=1,
    )


def test_a_timeout_ends_even_ranks_that_do_not_listen(
    stubborn: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(launcher, "_clock", lambda: now[0])
    seen: list[int] = []

    def on_event(event: TrainingEvent) -> None:
        seen.append(event.step)
        if len(seen) == 2:
            assert len(processes(tmp_path)) == 3
            now[0] = 61.0

    training = stubborn.training.model_copy(update={"timeout_seconds": 60.0})
    job = stubborn.model_copy(update={"training": training})
    with pytest.raises(TrainingError, match=r"longer than training.timeout_seconds=60"):
        launch(job, on_event=on_event)
    assert sorted(seen) == [0, 1]
    assert not processes(tmp_path)


def test_any_exception_in_the_parent_ends_all(stubborn: Job, tmp_path: Path) -> None:
    def on_event(event: TrainingEvent) -> None:
        if event.step == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(stubborn, on_event=on_event)
    assert not processes(tmp_path)


def of_several(job: Job, **training: Any) -> Job:
    values = {**job.training.model_dump(), **training}
    return job.model_copy(update={"training": TrainingConfig.model_validate(values)})


def test_hosts_that_nobody_told_where_they_meet_are_refused(
    stubborn: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("MASTER_ADDR", "PET_MASTER_ADDR"):
        monkeypatch.delenv(variable, raising=False)
    job = of_several(stubborn, hosts=2)
    with pytest.raises(ConfigError, match=r"training\.hosts=2, but it is not said where they meet"):
        launch(job)
    assert not job.folder.exists()
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    assert launcher._met(job).training.rendezvous == "127.0.0.1:29400"
    named = of_several(stubborn, hosts=2, rendezvous="[::1]:5")
    assert launcher._met(named).training.rendezvous == "[::1]:5"
    assert launcher._met(stubborn) is stubborn


def test_ranks_of_another_launcher_are_waited_for_no_longer_than_that(
    stubborn: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[TrainingEvent] = []
    started = of_several(stubborn, launcher="external", timeout_seconds=60.0)
    files = LaunchFiles(started.folder / "launch")
    monkeypatch.setattr(launcher, "_POLL_SECONDS", 0.0)
    ticks = iter([0.0, 61.0, 61.0])
    monkeypatch.setattr(launcher, "_clock", lambda: next(ticks))
    with pytest.raises(TrainingError, match=r"longer than training.timeout_seconds=60"):
        launch(started, on_event=told.append)
    assert [event.kind for event in told] == ["waiting"]
    assert f"waits for 2 ranks: python -m lmcore.training.worker {files.folder}" in told[0].message
    assert files.stop.exists()


@pytest.mark.parametrize("kind", ["ConfigError", "RuntimeError"])
def test_a_rank_of_another_launcher_that_failed_may_be_started_again(
    stubborn: Job, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Not where it said that nothing else would change that."""
    started = of_several(stubborn, launcher="external")
    files = LaunchFiles(started.folder / "launch")
    asked: list[float] = []

    def clock() -> float:
        asked.append(300.0 * len(asked))
        return asked[-1]

    monkeypatch.setattr(launcher, "_clock", clock)

    def on_event(event: TrainingEvent) -> None:
        report = RankError(rank=1, type=kind, message="something", at=0.0)
        files.error(1).write_text(report.model_dump_json())

    with pytest.raises(ConfigError if kind == "ConfigError" else TrainingError, match="something"):
        launch(started, on_event=on_event)
    assert (max(asked) > launcher._AGAIN_SECONDS) == (kind == "RuntimeError")
    assert files.stop.exists()


def test_ranks_of_a_parent_that_was_killed_are_gone_before_others_start(
    stubborn: Job, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    parent = in_a_child(lambda: dict(launch(stubborn, on_event=lambda _: told.touch())))
    while not told.exists():
        time.sleep(0.01)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    launcher._wait_until_gone(stubborn.folder)
    assert none_is_left(tmp_path)
