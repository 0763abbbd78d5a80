import pytest

from flows.progress.job import Snapshot
from flows.progress.sentence import duration, sentence


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200.0, "3 min 20 s"),
        (1800.0, "30 min"),
        (3900.0, "1 h 05 min"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_a_step_says_its_pace_and_what_is_left_of_the_run() -> None:
    now = Snapshot(
        name="run",
        step="train",
        number=4,
        steps=7,
        later=("evaluate", "promote"),
        done=340,
        total=1662,
        unit="steps",
        note="loss 3.270 nats/token",
        per_second=12.5,
        step_left=106.0,
        job_left=171.0,
    )
    assert sentence(now) == (
        "train (4 of 7): 340 of 1,662 steps, 12 steps/s, loss 3.270 nats/token, about 1 min 46 s"
        " left; then evaluate, promote: 2 min 51 s in all"
    )


def test_what_is_not_known_is_not_said() -> None:
    assert sentence(Snapshot(name="prune", seconds=3.2)) == "prune: 3 s so far"
    bare = Snapshot(name="run", stage="2020-12-31 (1 of 2)", step="ingest", part="read", done=1000)
    assert sentence(bare) == "2020-12-31 (1 of 2), ingest: read 1,000, 0 s so far"


def test_of_a_part_the_time_left_is_its_own() -> None:
    now = Snapshot(
        name="run",
        step="evaluate",
        part="validation",
        done=5,
        total=24,
        unit="documents",
        per_second=0.5,
        part_left=38.0,
        seconds=12.0,
    )
    assert sentence(now) == (
        "evaluate: validation 5 of 24 documents, 0.5 documents/s, about 38 s of it left,"
        " 12 s so far"
    )


@pytest.mark.parametrize(
    ("done", "pace", "expected"),
    [
        (1, 1.04, "read: 1 document, 1 document/s, 3 s so far"),
        (1234, 1234.4, "read: 1,234 documents, 1,234 documents/s, 3 s so far"),
        (2, 0.5, "read: 2 documents, 0.5 documents/s, 3 s so far"),
    ],
)
def test_one_is_no_plural(done: int, pace: float, expected: str) -> None:
    now = Snapshot(name="read", done=done, unit="documents", per_second=pace, seconds=3.0)
    assert sentence(now) == expected
