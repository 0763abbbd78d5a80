"""The error that a launched training ends with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lmcore.errors import ConfigError, LmcoreError, TrainingError
from lmcore.training.launch.failures import failure, refusal
from lmcore.training.launch.files import LaunchFiles, RankError


def test_what_a_rank_raises_is_raised_here(ranks: Any) -> None:
    folder = ranks.root / "failing"
    error = failure(LaunchFiles(folder / "launch"), folder)
    assert type(error) is TrainingError
    assert type(refusal(LaunchFiles(folder / "launch"))) is TrainingError
    assert "lower training.learning_rate" in str(error)
    assert "TrainingError" in LaunchFiles(folder / "launch").log(0).read_text()


@pytest.mark.parametrize(
    ("reports", "codes", "kind", "message"),
    [
        ([("RuntimeError", "closed"), ("ConfigError", "bad")], {"0": 1}, ConfigError, "^bad$"),
        ([("RuntimeError", "closed")], {"0": 1, "1": -9}, TrainingError, "process 1 .* SIGKILL"),
        ([("KeyError", "x")], {"0": 1, "1": -15}, TrainingError, r"process 0 .*\(KeyError: x\)"),
        ([("ValueError", "late"), ("OSError", "full")], {}, TrainingError, r"process 1 .*full"),
        ([], {}, TrainingError, "without a result"),
    ],
)
def test_the_error_that_says_most_is_raised(
    tmp_path: Path,
    reports: list[tuple[str, str]],
    codes: dict[str, int],
    kind: type[LmcoreError],
    message: str,
) -> None:
    files = LaunchFiles(tmp_path)
    for rank, (name, text) in enumerate(reports):
        report = RankError(rank=rank, type=name, message=text, at=-float(rank))
        files.error(rank).write_text(report.model_dump_json())
    if codes:
        files.exit_codes.write_text(json.dumps(codes))
    error = failure(files, tmp_path)
    assert type(error) is kind
    with pytest.raises(kind, match=message):
        raise error
