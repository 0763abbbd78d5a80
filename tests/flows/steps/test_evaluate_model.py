"""What a stop leaves of an evaluation."""

import random
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.home.folders import make_home
from flows.home.signals import StepInterrupted, interruptible, polite_signals
from flows.steps import evaluate_model
from lmcore.evaluation.inputs import Challenge
from lmcore.evaluation.report import EvalReport


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
