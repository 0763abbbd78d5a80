import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.progress.job import Job, current, opened


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_rest_of_a_run_is_what_the_last_one_took(clock: Clock) -> None:
    job = Job(name="run", clock=clock)
    job.expect(("ingest", "train", "judge"), {"ingest": 10.0, "train": 60.0, "judge": 30.0})
    with job.step("train"):
        clock.now += 20.0
        now = job.snapshot()
    assert (now.step, now.number, now.steps, now.later) == ("train", 2, 3, ("judge",))
    assert (now.step_left, now.job_left) == (40.0, 70.0)
    assert now.percent == pytest.approx(100 * 20 / 60)


def test_a_step_that_takes_longer_than_the_last_time_promises_nothing(clock: Clock) -> None:
    job = Job(name="run", clock=clock)
    job.expect(("train", "judge"), {"train": 5.0, "judge": 1.0})
    with job.step("train"):
        clock.now += 6.0
        now = job.snapshot()
    assert (now.step_left, now.job_left, now.percent) == (None, None, 0.0)


def test_a_pace_outweighs_the_last_run_and_counts_only_what_is_new(clock: Clock) -> None:
    job = Job(name="run", clock=clock)
    job.expect(("train",), {"train": 5.0})
    with job.step("train"):
        job.count("", 500, 1000, unit="steps", is_step=True)  # of which a resumed run did none
        clock.now += 10.0
        job.count("", 600, 1000, unit="steps", is_step=True)
        clock.now += 2.0
        now = job.snapshot()
        job.count("", 620, 720, unit="steps", is_step=True)
        fewer = job.snapshot()
    assert now.per_second == pytest.approx(10.0)
    assert now.step_left == pytest.approx(40.0 - 2.0)
    # A plan that was revised changes what is left, and not the pace so far.
    assert fewer.per_second == pytest.approx(10.0)
    assert fewer.step_left == pytest.approx(10.0)


def test_a_part_begins_anew_and_its_pace_is_not_that_of_the_step(clock: Clock) -> None:
    job = Job(name="run", clock=clock)
    with job.step("judge"):
        job.count("validation", 0, 10, unit="documents")
        clock.now += 5.0
        job.count("validation", 4, 10, unit="documents")
        assert job.snapshot().part_left == pytest.approx(7.5)
        job.count("validation", 10, 10, unit="documents")
        clock.now += 1.0
        job.count("train", 0, 20, unit="documents")
        now = job.snapshot()
    assert (now.part, now.done, now.total, now.per_second) == ("train", 0, 20, None)
    assert (now.part_left, now.step_left) == (None, None)


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 30)), max_size=30))
def test_no_time_left_is_ever_negative(moves: list[tuple[float, int]]) -> None:
    clock = Clock()
    job = Job(name="run", clock=clock)
    job.expect(("a", "b"), {"a": 20.0, "b": 3.0})
    done = 0
    with job.step("a"):
        for seconds, more in moves:
            clock.now += seconds
            done = min(100, done + more)
            job.count("", done, 100, is_step=True)
            now = job.snapshot()
            assert now.step_left is None or now.step_left >= 0.0
            assert now.job_left is None or now.job_left >= 3.0
            assert 0.0 <= now.percent <= 100.0


def test_what_was_counted_before_the_first_step_is_not_said_after_it(clock: Clock) -> None:
    job = Job(name="run", clock=clock)
    job.count("libraries")
    assert job.snapshot().part == "libraries"
    with job.step("ingest"):
        pass
    assert job.snapshot().part == ""


def test_a_flow_inside_a_command_goes_on_with_its_job() -> None:
    assert current().name == ""
    with opened("lmcore") as outer, opened("run", "tales") as inner:
        assert inner is outer is current()
        assert (inner.name, inner.model) == ("lmcore", "tales")
    assert current().name == ""
