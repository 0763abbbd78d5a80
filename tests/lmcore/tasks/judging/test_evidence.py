"""Which documents are judged and which were learnt from; which answers are shown."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.content_store import ContentStore
from lmcore.controls.bench import make_document, make_document_set
from lmcore.data.documents import DocumentSet
from lmcore.errors import EmptyEvaluationError
from lmcore.tasks.judging.classification import classify
from lmcore.tasks.judging.evidence import chosen_samples, judged_documents, learnt_documents
from lmcore.training.checkpoint import CONSUMED_FILE, Checkpoint


@pytest.fixture
def documents(tmp_path: Path) -> DocumentSet:
    texts = [(f"text {n}", "train" if n % 3 == 0 else "validation") for n in range(30)]
    return make_document_set(
        ContentStore(tmp_path), [make_document(text, split=split) for text, split in texts]
    )


def test_held_out_documents_are_judged_in_stored_order(documents: DocumentSet) -> None:
    found, seen = judged_documents(documents, limit=100, without=frozenset())
    assert [d.text for d in found] == [f"text {n}" for n in range(30) if n % 3]
    assert seen == 0


def test_a_larger_limit_only_adds_documents(documents: DocumentSet) -> None:
    chosen = [
        {d.id for d in judged_documents(documents, limit=limit, without=frozenset())[0]}
        for limit in range(2, 22)
    ]
    assert [len(ids) for ids in chosen] == [*range(2, 21), 20]
    assert all(fewer <= more for fewer, more in itertools.pairwise(chosen))
    # Not simply the first ones.
    stored = [row["id"] for row in documents.iter_rows("validation")]
    assert chosen[3] != set(stored[:5])


def test_what_the_base_model_was_trained_on_is_left_out_and_counted(
    documents: DocumentSet,
) -> None:
    everything, _ = judged_documents(documents, limit=100, without=frozenset())
    known = {d.id for d in everything[:4]} | {"another"}
    found, seen = judged_documents(documents, limit=100, without=known)
    assert ([d.id for d in found], seen) == ([d.id for d in everything[4:]], 4)
    # They take nobody's place below the limit.
    assert len(judged_documents(documents, limit=16, without=known)[0]) == 16
    with pytest.raises(EmptyEvaluationError, match=r"1 held-out documents .*\(19 were training"):
        judged_documents(documents, limit=100, without={d.id for d in everything[1:]})


def test_documents_that_were_never_read_are_not_learnt_from(reviewed: Any, tmp_path: Path) -> None:
    corpus, checkpoint = reviewed.corpus, reviewed.checkpoint
    read = learnt_documents(corpus, checkpoint, limit=10_000)
    assert {d.split for d in read} == {"train"}
    few = learnt_documents(corpus, checkpoint, limit=9)
    assert len(few) == 9
    assert {d.id for d in few} <= {d.id for d in read}

    # Weights that read the third document alone.
    start, stop = (int(end) for end in corpus.train_stream.doc_ends[1:3])
    consumed = checkpoint.consumed().model_dump(mode="json")
    record = {"best": {**consumed, "ranges": [[start, stop]]}, "final": consumed}
    (tmp_path / CONSUMED_FILE).write_text(json.dumps(record))
    barely = Checkpoint(key="k", path=tmp_path, summary=checkpoint.summary)
    (only,) = learnt_documents(corpus, barely, limit=10)
    assert only.id == bytes(corpus.train_stream.doc_ids[2]).decode()


def test_signatures_are_those_of_metrics_that_have_one(reviewed: Any) -> None:
    evidence = classify(reviewed.judging())
    assert evidence.signatures == {}
    signed = replace(evidence.deciding, signature="tok:13a")
    shown = replace(evidence, measured={**evidence.measured, "bleu": signed})
    assert shown.signatures == {"accuracy": "tok:13a"}


def test_samples_are_the_best_the_middle_and_the_worst() -> None:
    each = np.array([0.5, 0.9, 0.1, 0.7, 0.3, 0.8, 0.2, 0.6, 0.4])
    kinds: dict[str, list[int]] = {}
    for kind, place in chosen_samples(each):
        kinds.setdefault(kind, []).append(place)
    assert kinds == {"best": [1, 5, 3], "median": [7, 0, 8], "worst": [2, 6, 4]}
    assert chosen_samples(each, count=1) == [("best", 1), ("median", 0), ("worst", 2)]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(1, 4))
def test_no_answer_is_shown_twice(each: list[float], count: int) -> None:
    found = chosen_samples(np.array(each), count=count)
    places = [place for _, place in found]
    assert len(places) == len(set(places)) == min(len(each), len(places))
    assert found[0] == ("best", int(np.argmax(each)))
    if len(each) >= 3 * count:
        assert len(places) == 3 * count
