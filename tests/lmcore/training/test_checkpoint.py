"""A finished training as files, and what it read."""

import json
from typing import Any

import numpy as np

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
