"""`lmcore` as a user's shell runs it: real processes in a folder that has a home in it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

# Commands one after the other, each as if it were alone but for what Python has imported by then.
_SESSION = """
import contextlib, io, json, sys
from flows.cli import main
for line in sys.stdin.read().splitlines():
    sys.argv = ["lmcore", *json.loads(line)]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            code = stop.code
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

    def session(self, commands: Sequence[Sequence[str]]) -> list[Done]:
        """Several commands in one process: starting one takes longer than most of them."""
        lines = "\n".join(json.dumps(command) for command in commands)
        done = self.python("-c", _SESSION, given=lines)
        assert done.code == 0, done.err[-3000:]
        found = [Done(*json.loads(line)) for line in done.out.splitlines()]
        assert len(found) == len(commands), done.err[-3000:]
        return found

    def answers(self, *commands: Sequence[str], code: int = 0) -> list[dict[str, Any]]:
        """What each of several commands answers."""
        found = self.session([(*command, "--json") for command in commands])
        for done in found:
            assert done.code == code, done.err[-3000:]
        return [done.answer for done in found]
