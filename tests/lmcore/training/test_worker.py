"""One rank of a launched training: what it writes, and where its failure is told."""

from typing import Any

from lmcore.training.launch.files import (
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
