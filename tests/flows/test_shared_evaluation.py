"""Two workers with homes of their own ask an evaluation's questions: the report is that of one."""

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
    pytest.skip(f"shares of workers are not tested: {reason}", allow_module_level=True)
pytest.importorskip("s3fs", reason="lmcore[remote] is not installed")
pytest.importorskip("psutil", reason="lmcore[pretrained] is not installed")
workers = pytest.importorskip("workers")

SHARES = 4


@pytest.fixture(scope="module")
def tier() -> Iterator[Any]:
    with workers.running_tier() as running:
        yield running


def evaluation(home: Path) -> dict[str, Any]:
    """The report's folder by file; the manifest tells seconds, and a metric how fast it learnt."""
    (folder,) = (path.parent for path in home.glob("content/evaluation/*/manifest.json"))
    files = sorted(folder.iterdir())
    found = {path.name: path.read_bytes() for path in files if path.name != "manifest.json"}
    metrics = json.loads(found["metrics.json"])
    del metrics["train_tokens_per_second"]
    return {**found, "metrics.json": metrics}


def test_four_shares_on_two_workers_are_the_report_of_one(tier: Any, tmp_path: Path) -> None:
    # The last share, which the first worker takes back, is so long that the other one begins.
    corpus.write_corpus(tmp_path)
    config = corpus.CONFIG.replace("max_steps: 150", "max_steps: 30")
    config = config.replace("{resamples: 1000}", "{resamples: 1000, free_samples: 6000}")
    (tmp_path / "config.yaml").write_text(config)
    alone = Shell(tmp_path, {"LMCORE_HOME": str(tmp_path / "alone")})
    shares = {"LMCORE_EVALUATION_SHARDS": str(SHARES), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    first, second = (workers.Worker(tmp_path, name, tier, **shares) for name in ("first", "second"))
    with first.running(), second.running():
        _, state = first.ask(200)
        logs = first.log.read_text() + second.log.read_text()
        assert state in ("Promoted", "Rejected"), logs[-3000:]
    assert alone.command("run", "--config", "config.yaml").code in (0, 3)

    one, other = first, second
    if not any(one.home.glob("content/evaluation/*/manifest.json")):
        one, other = second, first
    assert evaluation(one.home) == evaluation(tmp_path / "alone")
    # The other one had to fetch the model that it asked.
    asked_there = any(other.home.glob("content/checkpoint/*/manifest.json"))
    taken_back = logs.count("is asked here")
    assert asked_there, logs[-3000:]
    assert taken_back < SHARES - 1, logs[-3000:]
    # Its answers were published, and are of no more use in any home.
    assert any((tier.objects / "lmcore" / "shared" / "content" / "evidence").glob("*/index.json"))
    for home in (one.home, other.home):
        assert not any(home.glob("content/evidence/*/manifest.json"))
