"""What is counted is the same whether it was counted now, before, or by a process beside."""

import functools
import os
import pickle
import signal
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from lmcore.content_store import ContentStore
from lmcore.evaluation import counts
from lmcore.evaluation.baselines.baselines import BaselineReport
from lmcore.evaluation.counts import Beside, Counts
from lmcore.evaluation.evidence import Collector
from lmcore.evaluation.inputs import Challenge
from lmcore.evaluation.kept_parts import KeptPart, KeptParts
from lmcore.evaluation.memory.suffix_array import ExactIndex
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.sides import unseen

pytestmark = pytest.mark.usefixtures("one_thread")

Counted = Callable[[Path], Counts]


@pytest.fixture
def counted(easy: Any) -> Counted:
    """What is counted for one candidate, in a store of one's own."""

    def build(root: Path) -> Counts:
        store = ContentStore(root)
        collector = Collector(
            corpus=easy.corpus,
            challenge=Challenge(checkpoint=easy.checkpoint),
            limits=easy.gates.evaluation,
            on_progress=unseen,
            parts=KeptParts(store=store, inputs={"of": "a test"}),
        )
        return collector.counts(store)

    return build


def assert_same(first: Any, second: Any) -> None:
    """Of two dataclasses of arrays, tables, lists of arrays and numbers."""
    assert type(first) is type(second)
    for field in fields(first):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(one, ScoreTable):
            assert_same(one, other)
        elif isinstance(one, list):
            assert len(one) == len(other) > 0
            for left, right in zip(one, other, strict=True):
                np.testing.assert_array_equal(left, right, strict=True)
        elif isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other, strict=True)
        else:
            assert type(one) is type(other)
            assert one == other


def test_what_is_kept_is_what_was_counted(counted: Counted, tmp_path: Path) -> None:
    found = counted(tmp_path)
    unkept = replace(found, parts=KeptParts())
    for part in ("reference", "contamination"):
        fresh = getattr(unkept, part)()
        assert_same(fresh, getattr(found, part)())  # counted and written
        assert_same(fresh, getattr(found, part)())  # read
    assert len(fresh) > 0
    found.parts.clear()
    assert not list((tmp_path / KeptPart.kind).glob("[!.]*"))


def kept(root: Path) -> dict[str, int]:
    kinds = (KeptPart.kind, BaselineReport.kind, ExactIndex.kind)
    return {kind: len(list((root / kind).glob("[!.]*"))) for kind in kinds}


def test_a_process_beside_makes_all_parts(
    counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "WORTH_BYTES", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    found, alone = counted(tmp_path / "beside"), counted(tmp_path / "alone")
    with Beside(found).working():
        while sum(kept(tmp_path / "beside").values()) < 4:
            time.sleep(0.05)
    assert kept(tmp_path / "beside") == {
        KeptPart.kind: 2,
        BaselineReport.kind: 1,
        ExactIndex.kind: 1,
    }

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError

    for name in ("reference", "contamination"):
        expected = getattr(alone, name)()
        with monkeypatch.context() as patch:
            patch.setattr(counts, "score_reference", refuse)
            patch.setattr(counts, "measure_contamination", refuse)
            assert_same(expected, getattr(found, name)())


def test_one_that_is_killed_leaves_its_part_to_who_asks(
    counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr(counts, "WORTH_BYTES", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    found = counted(tmp_path)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with Beside(found).working():
        workers: list[psutil.Process] = []
        while not workers:
            children = psutil.Process().children(recursive=True)
            # The library's tracker of resources is the other child.
            workers = [
                child
                for child in children
                if child.pid not in before and "LokyProcess" in " ".join(child.cmdline())
            ]
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
        assert len(found.contamination()) > 0
        assert found.reference().validation_nats
        assert found.baseline().summary["orders"]
        assert found.index() is not None
    assert capfd.readouterr().err == ""


def test_later_steps_are_served_behind_the_counts_and_waited_for(
    counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "WORTH_BYTES", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    beside = Beside(counted(tmp_path), functools.partial((tmp_path / "later").touch, 0o600))
    beside.finish()  # nothing is under way
    with beside.working():
        beside.finish()
        assert (tmp_path / "later").exists()
        assert sum(kept(tmp_path).values()) == 4


def test_an_error_of_the_process_is_left_to_who_asks(
    counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr(counts, "WORTH_BYTES", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    beside = Beside(counted(tmp_path), functools.partial(os.rmdir, tmp_path / "missing"))
    with beside.working():
        beside.finish()
    assert sum(kept(tmp_path).values()) == 4
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("why", ["one core", "little text", "nothing is kept"])
def test_no_process_is_begun_where_it_is_not_worth_it(
    counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    found = counted(tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0} if why == "one core" else {0, 1})
    if why != "little text":
        monkeypatch.setattr(counts, "WORTH_BYTES", 0)
    if why == "nothing is kept":
        found = replace(found, parts=KeptParts())
    monkeypatch.setattr(counts, "worker_processes", None)
    with Beside(found).working():
        pass
    assert sum(kept(tmp_path).values()) == 0


def test_what_is_handed_over_holds_no_model(counted: Counted, tmp_path: Path) -> None:
    assert len(pickle.dumps(counted(tmp_path))) < 1 << 20
