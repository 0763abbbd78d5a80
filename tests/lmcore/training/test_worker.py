"""One rank of a launched training: what it writes, and where its failure is told."""

from pathlib import Path
from typing import Any

import pytest

from lmcore.errors import ConfigError
from lmcore.model.config import ModelConfig
from lmcore.training import worker
from lmcore.training.config import TrainingConfig
from lmcore.training.launch.files import (
    Job,
    LaunchFiles,
    RankError,
    Result,
    read_event,
)


def test_one_rank_writes_what_a_local_run_writes(bench: Any, ranks: Any) -> None:
    local = bench.train(**ranks.training).summary
    files = LaunchFiles(ranks.root / "alone" / "launch")
    result = Result.model_validate_json(files.result.read_bytes())
    assert result.summary is not None
    for name in ("weights_sha256", "final_weights_sha256", "tune_bits_per_byte"):
        assert result.summary[name] == local[name]
    events = [read_event(line) for line in files.events.read_text().splitlines()]
    assert (events[0].kind, events[-1].kind) == ("plan", "done")


def test_what_goes_wrong_is_left_in_a_file_and_in_the_ranks_own_output(ranks: Any) -> None:
    files = LaunchFiles(ranks.root / "failing" / "launch")
    report = RankError.model_validate_json(files.error(0).read_bytes())
    assert (report.rank, report.type) == (0, "TrainingError")
    assert "lower training.learning_rate" in report.message
    assert not files.result.exists()
    log = files.log(0).read_text()
    assert "Traceback" in log
    assert report.message in log
    # One that ends well leaves no error.
    assert not LaunchFiles(ranks.root / "alone" / "launch").error(0).exists()


@pytest.mark.parametrize(
    ("size", "missing", "message"),
    [
        ("3", None, "the launcher started 3 ranks, but training.processes is 2"),
        ("2", "shards", r"shards is not on .*share LMCORE_HOME at the same path"),
        ("2", "base", r"base is not on .*share LMCORE_HOME at the same path"),
        ("2", None, ""),
    ],
)
def test_what_could_not_end_well_is_refused_before_ranks_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: str, missing: str | None, message: str
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", size)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    paths = {name: tmp_path / name for name in ("shards", "tokenizer", "base")}
    for name, path in paths.items():
        if name != missing:
            path.mkdir()
    job = Job(
        **paths,
        shards_key="s",
        tokenizer_key="t",
        model=ModelConfig(),
        training=TrainingConfig(launcher="external", processes=2),
        replay=None,
        folder=tmp_path / "f",
        output=tmp_path / "o",
        threads=1,
    )
    if not message:
        worker._check(job)
        return
    with pytest.raises(ConfigError, match=message):
        worker._check(job)
