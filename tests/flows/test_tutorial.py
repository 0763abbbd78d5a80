"""The tutorial, walked from its own text: each command, script and setting, in order."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(1500),
]

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"


class Step(NamedTuple):
    kind: str
    text: str
    shown: list[str]


def steps() -> Iterator[Step]:
    """What the page tells to do: commands with what stands below them, scripts, settings."""
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    for kind, text in fence.findall(PAGE.read_text("utf-8")):
        if kind != "console":
            yield Step(kind, text, [])
            continue
        for part in re.split(r"(?m)^\$ ", text)[1:]:
            command, *shown = part.splitlines()
            yield Step(kind, command, shown)


def alike(line: str) -> str:
    """A line without what differs from machine to machine: numbers, and how wide columns are."""
    return " ".join(re.sub(r"\d[\d,.:]*", "0", line).split())


def missing(shown: list[str], found: str) -> list[str]:
    """Lines of a page that an answer has not, or not in that order; `...` stands for anything."""
    lines = iter([alike(line) for line in found.splitlines()])
    lost = []
    for line in shown:
        begin, dots, _ = alike(line).partition("...")
        if begin and not any(
            each.startswith(begin.strip()) if dots else each == begin for each in lines
        ):
            lost.append(line)
    return lost


class Reader:
    """Somebody who types what the page says, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        (folder / ".venv").symlink_to(sys.prefix)
        (folder / "examples").symlink_to(PAGE.parents[1] / "examples")
        foreign = ("MLFLOW", "PREFECT", "LMCORE")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        self.folder = folder
        self.environment = {
            **kept,
            "PATH": f"{folder}/.venv/bin:{kept['PATH']}",
            "BROWSER": "true",
            "OMP_NUM_THREADS": "1",
            # As wide as what the page shows.
            "COLUMNS": "100",
        }

    def types(self, words: list[str]) -> str:
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
        return done.stderr + done.stdout

    def starts(self, command: str, until: str) -> str:
        """Let a server begin, then press Ctrl-C."""
        lines = []
        with (
            (self.folder / "said.txt").open("w+") as said,
            subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if until in line:
                    process.send_signal(signal.SIGINT)
            code = process.wait(timeout=120)
            said.seek(0)
            assert code == 0, said.read()[-2000:]
        return "".join(lines)


def test_what_the_tutorial_tells_to_do_goes_as_it_says(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    done = []
    for step in steps():
        if step.kind == "yaml":
            with (tmp_path / "harbour.yaml").open("a") as settings:
                settings.write(step.text)
        elif step.kind == "python":
            reader.types([sys.executable, "-W", "ignore", "-c", step.text])
        elif step.kind == "console":
            if step.text.startswith("lmcore up"):
                found = reader.starts(step.text, until="Ctrl-C")
            else:
                found = reader.types(["bash", "-ec", step.text])
            if lost := missing(step.shown, found):
                pytest.fail(f"{step.text}: not said: {lost}; it said:\n{found[-6000:]}")
        done.append(step.text.split("\n")[0])
    told = "\n".join(done)
    for part in ("lmcore init", "lmcore run", "report", "import mlflow", "rollback", "lmcore up"):
        assert part in told


def test_a_line_that_is_not_said_or_not_in_that_order_is_missing() -> None:
    said = "one 12 files\ntwo   3.5 MB\nthree is long\n"
    assert missing(["one 7 files", "...", "three is..."], said) == []
    assert missing(["two 1 MB", "one 1 files"], said) == ["one 1 files"]
    assert missing(["two 1 GB"], said) == ["two 1 GB"]
