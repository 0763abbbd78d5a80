"""Which version shows what a base model brings, and what a stop leaves."""

import random
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.home.folders import make_home
from flows.home.signals import StepInterrupted, interruptible, polite_signals
from flows.registry.versions import describe
from flows.steps import evaluate_model
from lmcore.config import RunConfig, parse_config
from lmcore.evaluation.inputs import Challenge
from lmcore.evaluation.report import EvalReport


def config(base: str | None) -> RunConfig:
    source = {"path": "rows.tsv", "target_field": "label", "license": "CC0-1.0"}
    return parse_config(
        {"name": "tone", "task": "sentiment", "base": base, "sources": [source]}, where="test"
    )


def shelf(*versions: dict[str, str]) -> Any:
    """A registry that holds versions with these tags."""
    found = [
        describe(
            SimpleNamespace(
                version=number, name="tone", tags=tags, run_id="", source="", creation_timestamp=0
            ),
            {},
        )
        for number, tags in enumerate(versions, 1)
    ]
    return SimpleNamespace(versions=lambda name: found if name == "tone" else [])


def test_it_is_the_newest_one_of_the_task_that_began_from_random_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluate_model, "_to_judge", lambda registry, version, removals: version)
    task = {"task": "sentiment"}
    registry = shelf(
        task,
        task,
        {"task": "language_modelling"},
        {**task, "quarantined": "wrong labels"},
        {**task, "base": "talk version 1"},
    )
    found: Any = evaluate_model.newest_unaided(registry, config("talk"), None)
    assert found.number == 2
    champion: Any = SimpleNamespace(version=2)
    assert evaluate_model.newest_unaided(registry, config("talk"), champion) is champion
    # One that itself began from random weights has nothing to show.
    assert evaluate_model.newest_unaided(registry, config(None), None) is None
    only = shelf({**task, "base": "talk version 1"})
    assert evaluate_model.newest_unaided(only, config("talk"), None) is None


def test_a_stop_at_any_moment_leaves_an_evaluation_that_is_whole_or_none(
    made: Any, tmp_path: Path
) -> None:
    challenge = Challenge(checkpoint=made.checkpoint, champion=None, parts=[], unaided=None)

    def judged(name: str) -> EvalReport:
        run = replace(made.run, home=make_home(tmp_path / name))
        return evaluate_model.evaluate(run, corpus=made.corpus, challenge=challenge)

    judged("first")  # what is read once is read
    started = time.perf_counter()
    whole = judged("whole")
    seconds, moments, stopped = time.perf_counter() - started, random.Random(0), 0
    for attempt in range(4):
        arguments = threading.main_thread().ident, signal.SIGTERM
        timer = threading.Timer(moments.uniform(0.0, seconds), signal.pthread_kill, arguments)
        with polite_signals():
            timer.start()
            try:
                with interruptible():
                    judged(f"home-{attempt}")
            except StepInterrupted:
                stopped += 1
            timer.join()
        again = judged(f"home-{attempt}")
        assert again.metrics() == whole.metrics()
        assert again.verdict() == whole.verdict()
        assert list((tmp_path / f"home-{attempt}" / "content").rglob("*.partial")) == []
    assert stopped
