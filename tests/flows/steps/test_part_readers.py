"""Task runners of Prefect that read the parts of a corpus: each gives what this process does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.steps import part_readers
from flows.steps.part_readers import ADDRESS, READERS, WORKERS, chosen_readers
from lmcore.content_store import ContentStore
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig
from lmcore.data.ingest import ingest as module
from lmcore.data.ingest import part_task
from lmcore.data.ingest.ingest import ingest
from lmcore.data.ingest.split import SplitLedger
from lmcore.errors import ConfigError, SourceError

FILES = ("documents-00000.parquet", "ledger.json", "quarantine.jsonl", "personal.json")


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (READERS, ADDRESS, WORKERS, "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lines that make some parts."""
    monkeypatch.setattr(module, "WORTH_BYTES", 0)
    monkeypatch.setattr(
        module, "PartStore", lambda **kw: part_task.PartStore(**kw, part_bytes=2000)
    )
    path = tmp_path / "a.jsonl"
    rows = [
        {"text": f"text number {n} of a corpus that is read in parts {n * 7919}"}
        for n in range(200)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "no json\n")
    return path


def made(root: Path, path: Path, **source: Any) -> dict[str, bytes]:
    found = ingest(
        ContentStore(root / "content"),
        sources=[SourceConfig(path=str(path), **source)],
        data=DataConfig(),
        policy=PolicyConfig(),
        ledger=SplitLedger(root / "split.sqlite"),
    )
    return {name: (found.path / name).read_bytes() for name in FILES}


#: Documents of a corpus, made in a flow of a process of its own: engines leave threads behind.
IN_A_FLOW = """
import json, sys
from pathlib import Path

root, corpus, field = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

from flows.home.environment import prepare
home = prepare(root / "home")

from prefect import flow

from flows.servers.prefect_server import PrefectServer
from flows.steps.part_readers import chosen_readers
from lmcore.content_store import ContentStore
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig
from lmcore.data.ingest import ingest as module
from lmcore.data.ingest.part_task import PartStore
from lmcore.data.ingest.split import SplitLedger
from lmcore.errors import LmcoreError

module.WORTH_BYTES = 0
module.PartStore = lambda **kw: PartStore(**kw, part_bytes=2000)

@flow(name="reading")
def reading():
    with chosen_readers():
        return str(module.ingest(
            ContentStore(root / "content"),
            sources=[SourceConfig(path=corpus, text_field=field)],
            data=DataConfig(),
            policy=PolicyConfig(),
            ledger=SplitLedger(root / "split.sqlite"),
        ).path)

if __name__ == "__main__":
    with PrefectServer(home) as server:
        server.wait()
        try:
            print(json.dumps({"path": reading()}))
        except LmcoreError as error:
            print(json.dumps({"error": str(error)}))
"""


def in_flow(root: Path, path: Path, readers: str, *, text_field: str = "text") -> dict[str, str]:
    """What the process says: the documents' folder, or what is wrong."""
    root.mkdir()
    script = root / "reading.py"
    script.write_text(IN_A_FLOW)
    user = root / "user"
    user.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(root), str(path), text_field],
        env={
            **os.environ,
            READERS: readers,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HOME": str(user),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    # Neither an engine nor its settings are left in the user's own folder.
    assert not [found for found in user.rglob("*") if found.is_file()]
    answer: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _there(extra: str) -> bool:
    try:
        __import__(f"prefect_{extra}")
    except ImportError:
        return False
    return True


RUNNERS = [
    "threads",
    pytest.param("processes", marks=pytest.mark.slow),
    *(
        pytest.param(
            name,
            marks=[
                pytest.mark.slow,
                pytest.mark.long,
                pytest.mark.skipif(not _there(name), reason=f"prefect-{name} is not installed"),
            ],
        )
        for name in ("dask", "ray")
    ),
]


@pytest.mark.integration
@pytest.mark.parametrize("name", RUNNERS)
def test_a_task_runner_makes_the_same_documents(tmp_path: Path, corpus: Path, name: str) -> None:
    expected = made(tmp_path / "here", corpus)
    answer = in_flow(tmp_path / name, corpus, name)
    found = Path(answer["path"])
    assert {file: (found / file).read_bytes() for file in FILES} == expected
    assert len(list((tmp_path / name / "content" / "part").glob("[!.]*"))) > 3


@pytest.mark.integration
def test_an_error_of_a_source_is_told_as_it_is(tmp_path: Path, corpus: Path) -> None:
    answer = in_flow(tmp_path / "flow", corpus, "threads", text_field="nothing")
    with pytest.raises(SourceError) as expected:
        made(tmp_path / "here", corpus, text_field="nothing")
    assert answer == {"error": str(expected.value)}


def test_without_a_flow_or_a_choice_this_process_reads(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = made(tmp_path / "here", corpus)
    with chosen_readers():
        assert made(tmp_path / "unset", corpus) == expected
    monkeypatch.setenv(READERS, "threads")
    with chosen_readers():
        assert made(tmp_path / "threads", corpus) == expected


@pytest.mark.parametrize(
    ("name", "environment", "sentence"),
    [
        ("spark", {}, "LMCORE_READERS='spark': expected one of threads, processes, dask, ray"),
        ("threads", {WORKERS: "0"}, "LMCORE_READERS_WORKERS='0': expected a number from 1 to"),
        ("threads", {WORKERS: "²"}, "LMCORE_READERS_WORKERS='²': expected a number from 1 to"),
        ("threads", {WORKERS: "9" * 5000}, "expected a number from 1 to 10,000, or nothing"),
        ("ray", {ADDRESS: "ray://10.0.0.1:10001"}, "without RAY_AUTH_MODE=token"),
        ("ray", {"RAY_AUTH_MODE": "disabled"}, "at this machine without RAY_AUTH_MODE=token"),
    ],
)
def test_what_is_not_there_or_not_safe_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, environment: dict[str, str], sentence: str
) -> None:
    if name == "ray" and not _there("ray"):
        sentence = "pip install 'lmcore"
    monkeypatch.setenv(READERS, name)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ConfigError) as error, chosen_readers():
        pass
    assert sentence in str(error.value)


def test_a_missing_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    error = part_readers._missing("dask", ImportError("No module named 'prefect_dask'"))
    assert "pip install 'lmcore[dask]'" in str(error)
