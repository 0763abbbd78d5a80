"""`lmcore` as a user's shell runs it: real processes in a folder that has a home in it."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

# Commands one after the other, each as if it were alone but for what Python has imported by then,
# and for Prefect's server, which the first run starts and the session's end stops.
_SESSION = """
import contextlib, io, json, sys
from flows.cli import answer
from flows.commands.shared import configuration
from flows.home.environment import prepare
prepare()  # one process has one home
start, started = configuration.PrefectServer, []
def server(home):
    if not started:
        started.append(kept.enter_context(start(home)))
    return contextlib.nullcontext(started[0])
configuration.PrefectServer = server
with contextlib.ExitStack() as kept:
    for line in sys.stdin:
        sys.argv = ["lmcore", *json.loads(line)]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = answer()
        print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


class Done(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def answer_of(process: "subprocess.Popen[str]", code: int = 0) -> dict[str, Any]:
    """What a command answers that was started with `--json`, once it has ended."""
    out, err = process.communicate(timeout=400)
    assert process.returncode == code, err[-3000:]
    return Done(code, out, err).answer


@dataclass(frozen=True)
class Session:
    """Several commands in one process: starting one takes longer than most of them."""

    process: "subprocess.Popen[str]"
    log: IO[str]

    def command(self, *arguments: str) -> Done:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            self.process.stdin.write(json.dumps(arguments) + "\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            self.log.seek(0)
            raise AssertionError(f"{arguments} ended the session: {self.log.read()[-3000:]}")
        return Done(*json.loads(answer))

    def run(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        done = self.command(*arguments, "--json")
        assert done.code == code, done.err[-3000:]
        return done.answer


@dataclass(frozen=True)
class Shell:
    """A folder with a home in it, or another home, and perhaps settings of servers."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PREFECT"))}
        # One thread: the same sums on every machine, and no waiting on a busy one.
        return {**kept, "LMCORE_HOME": str(self.home), "OMP_NUM_THREADS": "1", **self.settings}

    def python(self, *words: str, given: str = "", **environment: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *words],
            cwd=self.folder,
            env={**self.environment, **environment},
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, *arguments: str) -> Done:
        return self.python("-m", "flows.cli", *arguments)

    def run(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        done = self.command(*arguments, "--json")
        assert done.code == code, done.err[-3000:]
        return done.answer

    @contextlib.contextmanager
    def opened(self) -> Iterator[Session]:
        """A session; what its commands wrote is complete when it has ended."""
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", _SESSION],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            try:
                yield Session(process, log)
                process.communicate(timeout=60)
            finally:
                process.kill()
                process.communicate()
            log.seek(0)
            assert process.returncode == 0, log.read()[-3000:]

    def session(self, commands: Sequence[Sequence[str]]) -> list[Done]:
        """What several commands leave that are known beforehand."""
        with self.opened() as session:
            return [session.command(*command) for command in commands]

    def answers(self, *commands: Sequence[str], code: int = 0) -> list[dict[str, Any]]:
        """What each of several commands answers."""
        with self.opened() as session:
            return [session.run(*command, code=code) for command in commands]


def telling_imports(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command in a process of its own; its last line of stderr lists which of two it imported."""
    code = (
        "import sys; from flows.cli import answer; code = answer();"
        " print([name for name in ('prefect', 'torch') if name in sys.modules], file=sys.stderr);"
        " sys.exit(code)"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_TRACKING")}
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**kept, "LMCORE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
    )
