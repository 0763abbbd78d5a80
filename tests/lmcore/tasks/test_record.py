"""`task.json` comes back as it was written, and what is none is refused."""

import json
from pathlib import Path

import pytest

from lmcore.errors import IntegrityError
from lmcore.tasks.record import RECORD_FILE, TaskRecord, read_record
from lmcore.tasks.task import SENTIMENT

RECORD = TaskRecord(
    **{"task": "sentiment", "labels": ("no", "yes"), "shares": (0.25, 0.75), "temperature": 1.5},
    **{"separator": 400, "max_source_tokens": 256, "max_target_tokens": 128, "beam_size": 4},
    **{"length_penalty": 1.0, "no_repeat_ngram_size": 0},
)


def test_a_record_comes_back_and_names_its_task(tmp_path: Path) -> None:
    RECORD.write(tmp_path)
    assert read_record(tmp_path) == RECORD
    assert read_record(tmp_path).kind is SENTIMENT


@pytest.mark.parametrize(
    "change",
    [{"task": "poetry"}, {"labels": None}, {"temperature": "warm"}, {"a key of tomorrow": 1}],
)
def test_a_record_that_says_something_else_is_refused(
    tmp_path: Path, change: dict[str, object]
) -> None:
    values = {**RECORD.model_dump(mode="json"), **change}
    (tmp_path / RECORD_FILE).write_text(json.dumps(values))
    with pytest.raises(IntegrityError, match="not the record of a task"):
        read_record(tmp_path)


@pytest.mark.parametrize("content", [None, "", "{", "[]", "\xff"])
def test_what_is_no_record_is_refused_with_its_place(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / RECORD_FILE).write_text(content, encoding="latin-1")
    with pytest.raises(IntegrityError, match=r"task\.json.*Restore the folder or train again"):
        read_record(tmp_path)
