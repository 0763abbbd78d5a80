"""Why a launched training ended without a result: what its ranks and their agent left."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from lmcore import errors
from lmcore.errors import LmcoreError, TrainingError
from lmcore.training.launch.files import LaunchFiles, RankError


def refusal(files: LaunchFiles) -> LmcoreError | None:
    """What a rank said that no other attempt would change; None: nothing."""
    for report in _reports(files):
        kind = getattr(errors, report.type, None)
        if isinstance(kind, type) and issubclass(kind, LmcoreError):
            return kind(report.message)
    return None


def _reports(files: LaunchFiles) -> list[RankError]:
    """Of ranks that failed, the first one first."""
    return sorted(
        (
            RankError.model_validate_json(path.read_bytes())
            for path in files.folder.glob("error-*.json")
        ),
        key=lambda report: report.at,
    )


def failure(files: LaunchFiles, folder: Path) -> LmcoreError:
    """The error that says most: ours, then a signal from outside, then the first."""
    if (ours := refusal(files)) is not None:
        return ours
    reports = _reports(files)
    onwards = f"the same command goes on from the newest resume point in {folder}"
    codes = json.loads(files.exit_codes.read_bytes()) if files.exit_codes.exists() else {}
    for rank, code in codes.items():
        if code < 0 and code != -signal.SIGTERM:
            return TrainingError(
                f"process {rank} of the training was ended by {signal.Signals(-code).name} (the"
                f" system does that when memory is short); {onwards}"
            )
    for report in reports:
        return TrainingError(
            f"process {report.rank} of the training failed ({report.type}: {report.message[:300]});"
            f" its output is in {files.log(report.rank)}, and {onwards}"
        )
    return TrainingError(
        f"the processes of the training ended without a result; their output is in {files.folder},"
        f" and {onwards}"
    )
