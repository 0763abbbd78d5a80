"""`lmcore run --dry-run`: what would be read, what would be set aside and why, and how long."""

from pathlib import Path
from typing import Any

import pytest
from sentences import sentences

from flows.commands.shared.dry_run import _text
from flows.registry.last_run import remember_run
from flows.registry.models import Registry
from flows.registry.run_result import RunResult


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    rows = "".join(f"{text};{i % 2}\n" for i, text in enumerate(sentences(40)))
    (tmp_path / "reviews.csv").write_text("text;label\n" + rows)
    config = tmp_path / "c.yaml"
    config.write_text("name: reviews\nsources: [{path: reviews.csv, license: CC0-1.0}]\n")
    return config


def test_nothing_is_trained_registered_or_remembered(
    empty_shell: Any, reviews: Path, tmp_path: Path
) -> None:
    answer = empty_shell.answer("run", "--config", "c.yaml", "--dry-run")
    assert (answer["model"], answer["documents"], answer["stops"]) == ("reviews", 40, [])
    assert answer["files"] == [
        {
            **{"source": 0, "name": "reviews.csv", "format": "csv", "encoding": "utf-8"},
            **{"records": 40, "set_aside": 0},
        }
    ]
    assert answer["samples"][0] == {
        "name": "reviews.csv:2",
        "text": sentences(1)[0],
        "target": None,
    }
    assert answer["seconds"]["train"] == 120.0
    assert answer["seconds"]["evaluate"] is None
    assert answer["complete"] is True
    assert answer["languages"]["texts"]["en"]["documents"] == 40
    assert sum(answer["sides"].values()) == 40
    home = empty_shell.home
    assert not home.splits.exists()
    assert list(home.content.iterdir()) == []


def test_a_run_that_would_stop_is_told_with_all_that_is_wrong(
    empty_shell: Any, reviews: Path, tmp_path: Path
) -> None:
    rows = "".join(f"{text};1\n" for text in sentences(30))
    (tmp_path / "reviews.csv").write_text("text;label\n" + rows + "no cells\n" * 60)
    answer = empty_shell.answer("run", "--config", "c.yaml", "--dry-run", code=2)
    assert len(answer["set_aside"]) == 60
    assert answer["set_aside"][0] == {
        **{"file": "reviews.csv", "position": 32},
        **{"reason": "1 cells where the header has 2"},
    }
    (stop,) = answer["stops"]
    assert "60 of 90 records" in stop
    lines = empty_shell.lines("run", "--config", "c.yaml", "--dry-run", code=2)
    assert "60 set aside, because it cannot be read:" in lines
    assert "  ... and 20 more entries; --json lists them" in lines
    assert "A run would stop here:" in lines


def test_the_time_of_the_last_run_is_the_estimate(empty_shell: Any, reviews: Path) -> None:
    registry = Registry(empty_shell.home)
    registry._client.create_registered_model("reviews")
    seconds = {"tokenize": 1.0, "train": 7.0, "evaluate": 30.0, "register": 2.0}
    result = RunResult(
        **{"outcome": "promoted", "reason": "r", "task": "language_modelling", "model": "reviews"},
        seconds=seconds,
    )
    remember_run(registry, result, schedule=None)
    answer = empty_shell.answer("run", "--config", "c.yaml", "--dry-run")
    assert answer["seconds"]["evaluate"] == 30.0
    assert answer["seconds"]["train"] == 120.0  # the configuration's own budget
    steps = ("--set", "training.max_steps=5", "--set", "training.budget_seconds=null")
    answer = empty_shell.answer("run", "--config", "c.yaml", "--dry-run", *steps)
    assert answer["seconds"]["train"] == 7.0


def test_people_see_files_reasons_samples_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    answer = {
        "model": "m",
        "documents": 2,
        "bytes": 2_000,
        "files": [
            {"source": 0, "name": "a.txt", "format": "text", "encoding": "utf-8"}
            | {"records": 2, "set_aside": 0},
            {
                "source": 0,
                "name": "b.doc",
                "format": "",
                "encoding": "",
                "records": 0,
                "set_aside": 1,
            },
        ],
        "set_aside": [{"file": "b.doc", "position": 0, "reason": "not read"}],
        "left_out": [{"file": "c.png", "reason": "no text"}],
        "dropped": {"empty": {"documents": 3, "bytes": 0}},
        "start": None,
        "exact_duplicates": 1,
        "masked": {"EMAIL": 4},
        "languages": {"texts": {"en": {"documents": 2, "bytes": 9}}, "remarks": ["also de"]},
        "sides": {"train": 2},
        "samples": [{"name": "a.txt:1", "text": "x" * 500, "target": "pos\x1b[0m"}],
        "seconds": {"ingest": 6.0, "train": 120.0, "evaluate": None},
        "stops": [],
    }
    _text(answer, places=["texts"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "m: 2 documents, 2.0 kB"
    assert lines[3].split() == ["texts", "b.doc", "-", "-", "0", "1"]  # what failed comes first
    assert "  b.doc: not read" in lines
    assert "  c.png: no text" in lines
    assert "dropped: 3 empty, 1 exact copies of others" in lines
    assert "masked: 4 EMAIL" in lines
    assert lines[lines.index("languages: en 2") + 1] == "  also de"
    assert "split, were it the first: train 2" in lines
    assert "  -> pos[0m" in lines
    assert "time: about 2.1 min (ingest 6 s, train 120 s)" in lines
    assert not any("stop here" in line for line in lines)
