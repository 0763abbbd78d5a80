"""Two workers with homes of their own, the same servers and one S3 store take turns on a model.

The first is killed in the middle of a training, and the second goes on with it; then the first one
is there again.  The servers are those of test_server_tier.py.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pipeline_corpus as corpus
import pytest
import server_tier as servers
from lmcore_shell import Shell

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]


if (reason := servers.missing()) is not None:
    pytest.skip(f"two workers are not tested: {reason}", allow_module_level=True)
pytest.importorskip("s3fs", reason="lmcore[remote] is not installed")
pytest.importorskip("psutil", reason="lmcore[pretrained] is not installed")
workers = pytest.importorskip("workers")

STEPS = 80


@pytest.fixture(scope="module")
def tier() -> Iterator[Any]:
    with workers.running_tier() as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workers")
    corpus.write_corpus(folder)
    often = f"max_steps: {STEPS}\n  checkpoint_seconds: 0.1"
    config = corpus.CONFIG.replace("max_steps: 150", often)
    (folder / "config.yaml").write_text(config)
    return folder


def test_one_goes_on_where_the_other_was_killed_and_each_sees_what_the_other_did(
    tier: Any, folder: Path
) -> None:
    alone = Shell(folder, {"LMCORE_HOME": str(folder / "alone")})
    first, second = (workers.Worker(folder, name, tier) for name in ("first", "second"))
    shared = tier.objects / "lmcore" / "shared"
    with first.running():
        run, _ = first.ask(0)
        workers.wait_until(lambda: bool(saved(shared).get("log.jsonl")), first)
    left = saved(shared)
    assert not any(first.home.glob("content/checkpoint/*/manifest.json"))
    # The server hears of it by silence, which takes minutes.
    first.python(workers.CRASHED, run)
    with alone.start("run", "--config", "config.yaml") as unbroken, second.running():
        _, state = second.ask(180)
        made = folder / "alone" / "content" / "checkpoint"
        workers.wait_until(lambda: any(made.glob("*/manifest.json")), second)
        unbroken.kill()
    assert state in ("Promoted", "Rejected"), second.log.read_text()[-3000:]

    # The weights are those of one run that nobody killed, and the second has done a part of it.
    (checkpoint,) = (path.parent for path in made.glob("*/manifest.json"))
    found = second.home / "content" / "checkpoint" / checkpoint.name
    assert summary(found)["weights_sha256"] == summary(checkpoint)["weights_sha256"]
    assert summary(found)["steps"] == summary(checkpoint)["steps"] == STEPS
    # Both files hold what the first one's clock measured.
    assert (found / "plan.json").read_text() == left["plan.json"]
    assert (found / "log.jsonl").read_text().startswith(left["log.jsonl"])
    # Text was split once: the second fetched it.
    (documents,) = second.home.glob("content/documents/*/manifest.json")
    (same,) = first.home.glob("content/documents/*/manifest.json")
    assert documents.read_bytes() == same.read_bytes()
    assert not any(shared.glob("work/*/index.json"))

    # The first again: what the second made is known to it, and the version can be opened.
    with first.shell.opened() as lmcore:
        again = lmcore.run("run", "--config", "config.yaml")
        assert again["outcome"] == "skipped"
        assert again["reason"].startswith("nothing new: ")
        assert "are those of version 1 " in again["reason"]
        metrics = lmcore.run("show", "1")["metrics"]
    assert metrics == second.shell.run("show", "1")["metrics"]


def saved(shared: Path) -> dict[str, str]:
    """Plan and log of the newest resume point that is published."""
    for index in shared.glob("work/*/index.json"):
        with contextlib.suppress(FileNotFoundError):  # a newer one has just taken its place
            files = json.loads(index.read_text())["files"]
            return {
                name.rpartition("/")[2]: (index.parent / sha256).read_text()
                for name, (_, sha256) in sorted(files.items())
                if name.endswith(("plan.json", "log.jsonl"))
            }
    return {}


def summary(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "manifest.json").read_text())["summary"]
    assert isinstance(found, dict)
    return found
