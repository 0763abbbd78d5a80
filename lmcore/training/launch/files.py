"""What a launched training and its parent tell each other: files in one folder.

The parent writes `job.json` and, to ask for a stop, `stop`. Rank 0 appends to `events.jsonl`
and ends with `result.json`; a rank that fails leaves `error-<rank>.json`, and the agent leaves
`exit-codes.json` then. Files outlive whoever wrote them, block nobody, and need no descriptor
to pass through torchrun, which closes them.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import Field

from lmcore.model.config import AnyModelConfig
from lmcore.settings import Section
from lmcore.training.config import TrainingConfig
from lmcore.training.events import TrainingEvent
from lmcore.training.plan import Plan


class Job(Section):
    """A training of a language model, whichever process does it.

    Attributes:
        shards: Folder of the token shards, verified by the parent.
        shards_key: Their key.
        tokenizer: Folder of the tokenizer, verified by the parent.
        tokenizer_key: Its key.
        model: Shape of the model.
        training: Budget and optimization.
        replay: A recorded plan to follow.
        initial: Folder of the model whose weights are the start.
        base: Folder of the model that a pretrained one begins with.
        folder: Plan and resume points.
        output: Folder of the checkpoint, to be filled.
        threads: Threads of each rank on a CPU; ranks of another launcher have those that it set.
        id: Of this launch: hosts compare it.
    """

    shards: Path
    shards_key: str
    tokenizer: Path
    tokenizer_key: str
    model: AnyModelConfig
    training: TrainingConfig
    replay: Plan | None
    initial: Path | None = None
    base: Path | None = None
    folder: Path
    output: Path
    threads: int
    id: str = Field(default_factory=lambda: secrets.token_hex(8))

    @property
    def processes(self) -> int:
        """Number of ranks."""
        return self.training.processes


class Result(Section):
    """How a launched training ended, where it did not fail.

    Attributes:
        summary: Of the checkpoint; None if it was asked to stop.
        step: Steps done.
        steps: Steps planned.
    """

    summary: dict[str, object] | None = None
    step: int = 0
    steps: int = 0


class RankError(Section):
    """What ended a rank.

    Attributes:
        rank: Which.
        type: Class of the exception.
        message: Its text.
        at: Seconds since the epoch.
    """

    rank: int
    type: str
    message: str
    at: float


@dataclass(frozen=True)
class LaunchFiles:
    """Names of the files in the folder of one launch."""

    folder: Path

    @property
    def job(self) -> Path:
        """A `Job`."""
        return self.folder / "job.json"

    @property
    def parent(self) -> Path:
        """A lock that the parent holds as long as it lives and waits."""
        return self.folder / "parent.lock"

    @property
    def events(self) -> Path:
        """One `TrainingEvent` a line."""
        return self.folder / "events.jsonl"

    @property
    def stop(self) -> Path:
        """It is there when a stop is asked for."""
        return self.folder / "stop"

    @property
    def result(self) -> Path:
        """A `Result`, written last."""
        return self.folder / "result.json"

    @property
    def exit_codes(self) -> Path:
        """Exit codes of the ranks that failed, by rank; negative for a signal."""
        return self.folder / "exit-codes.json"

    @property
    def agent_log(self) -> Path:
        """What torchrun printed on the first host."""
        return self.folder / "agent.log"

    def joined_log(self, host: str) -> Path:
        """What torchrun printed on another host."""
        return self.folder / f"agent-{host}.log"

    def error(self, rank: int) -> Path:
        """A `RankError`."""
        return self.folder / f"error-{rank}.json"

    def log(self, rank: int) -> Path:
        """What a rank printed."""
        return self.folder / f"rank-{rank}.log"


def alive_file(folder: Path) -> Path:
    """A lock that each rank of the run in `folder` shares as long as it lives."""
    return folder / "ranks.lock"


def read_job(files: LaunchFiles) -> Job:
    """The job that the parent wrote."""
    return Job.model_validate_json(files.job.read_bytes())


def event_line(event: TrainingEvent) -> str:
    """An event as one line of JSON."""
    return json.dumps({**asdict(event), "values": dict(event.values)}) + "\n"


def read_event(line: str) -> TrainingEvent:
    """Undo `event_line`."""
    return TrainingEvent(**json.loads(line))
