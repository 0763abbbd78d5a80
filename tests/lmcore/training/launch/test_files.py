"""What a launched training and its parent tell each other passes unchanged."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lmcore.model.config import ModelConfig
from lmcore.training.config import TrainingConfig
from lmcore.training.events import TrainingEvent
from lmcore.training.launch.files import (
    Job,
    LaunchFiles,
    RankError,
    Result,
    alive_file,
    event_line,
    read_event,
    read_job,
)


def test_an_event_passes_unchanged() -> None:
    event = TrainingEvent(
        kind="evaluation", step=1, steps=2, values={"a": 0.1, "b": float("inf")}, message="ä\nb"
    )
    assert read_event(event_line(event)) == event
    assert event_line(event).count("\n") == 1


@settings(deadline=None)
@given(
    st.text(max_size=20),
    st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False), max_size=3),
    st.sampled_from(["", "adaptation"]),
)
def test_any_event_is_one_line(message: str, values: dict[str, float], stage: str) -> None:
    event = TrainingEvent(kind="step", step=3, steps=9, values=values, message=message, stage=stage)
    line = event_line(event)
    assert line.splitlines() == [line.removesuffix("\n")]
    assert read_event(line) == event


def test_a_job_comes_back_as_it_was_written(tmp_path: Path) -> None:
    job = Job(
        **{"shards": tmp_path / "s", "shards_key": "sk", "tokenizer": tmp_path / "t"},
        **{"tokenizer_key": "tk", "replay": None, "initial": tmp_path / "weights", "threads": 2},
        model=ModelConfig(d_model=32, dropout=0.25),
        training=TrainingConfig(launcher="torchrun", processes=4, max_epochs=1 / 3),
        folder=tmp_path / "f",
        output=tmp_path / "o",
    )
    files = LaunchFiles(tmp_path)
    files.job.write_text(job.model_dump_json())
    assert read_job(files) == job
    assert job.processes == 4
    with pytest.raises(ValidationError, match="surprise"):
        Job.model_validate({**job.model_dump(), "surprise": 1})


def test_every_rank_and_every_kind_of_news_has_a_file_of_its_own(tmp_path: Path) -> None:
    files = LaunchFiles(tmp_path)
    paths = [
        *(files.job, files.events, files.stop, files.result, files.exit_codes, files.agent_log),
        *(files.parent, files.joined_log("a"), files.joined_log("b")),
        *(name(rank) for name in (files.error, files.log) for rank in range(3)),
        alive_file(tmp_path),
    ]
    assert len(set(paths)) == len(paths)
    assert {path.parent for path in paths} == {tmp_path}


def test_a_result_is_a_summary_or_how_far_a_stopped_one_came() -> None:
    done = Result(summary={"steps": 12, "best": None})
    stopped = Result(step=5, steps=12)
    for result in (done, stopped):
        assert Result.model_validate_json(result.model_dump_json()) == result
    assert (done.step, stopped.summary) == (0, None)
    error = RankError(rank=1, type="KeyError", message="'a'\nb", at=0.1 + 0.2)
    assert RankError.model_validate_json(error.model_dump_json()) == error
