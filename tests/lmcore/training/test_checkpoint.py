"""A finished training as files, and what it read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmcore.errors import IntegrityError
from lmcore.training.checkpoint import read_plan

STEPS = 12


def test_consumed_names_the_documents_that_were_read(bench: Any) -> None:
    checkpoint = bench.train(max_steps=7)
    consumed = checkpoint.consumed("final")
    assert consumed.tokens == 7 * 64
    assert sum(stop - start for start, stop in consumed.ranges) == 7 * 64
    seen = checkpoint.consumed_documents(bench.corpus.shards, "final")
    stream = bench.corpus.train_stream
    expected = np.zeros(len(seen), dtype=bool)
    for start, stop in consumed.ranges:
        for index in stream.documents(start, stop):
            expected[index] = True
    assert seen.tolist() == expected.tolist()
    assert 0 < seen.sum() < len(seen)


def test_plan_and_log_are_plain_json(bench: Any) -> None:
    checkpoint = bench.train()
    plan = json.loads((checkpoint.path / "plan.json").read_text())
    assert plan["steps"] == STEPS
    assert plan["threads"] == 1
    assert plan["tokens_per_second"] > 0


def test_both_sets_of_weights_are_read(bench: Any) -> None:
    checkpoint = bench.train(max_steps=4, evaluations=4, learning_rate=0.01)
    best, final = (checkpoint.load(which) for which in ("best", "final"))
    names = best.state_dict().keys()
    assert names == final.state_dict().keys()
    same = all(torch.equal(best.state_dict()[name], final.state_dict()[name]) for name in names)
    first, second = bench.weights(checkpoint)
    assert same == (first == second)


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"steps": 0}', b"\xff\x00"])
def test_what_is_no_plan_is_refused_with_its_place(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        IntegrityError, match=r"plan\.json: not a training plan .*delete it to start over"
    ):
        read_plan(path)


def test_a_recorded_plan_is_read_back(bench: Any, tmp_path: Path) -> None:
    plan = bench.train(max_steps=1).plan()
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    assert read_plan(tmp_path / "plan.json") == plan
