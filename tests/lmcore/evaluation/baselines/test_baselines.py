import random

import pytest

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.baselines.baselines import fit_baselines


def make_texts(count, seed):
    rng = random.Random(seed)
    words = ["we", "the", "people", "of", "union", "peace", "war", "commerce"]
    return [f"{seed}.{i} " + " ".join(rng.choices(words, k=30)) for i in range(count)]


def test_report_holds_three_orders_and_is_made_once(store, document_set, document):
    documents = document_set(
        [document(t, split="train") for t in make_texts(40, 1)]
        + [document(t) for t in make_texts(8, 2)]
        + [document("never seen by anyone", split="excluded")]
    )
    caps = {"max_train_bytes": 10**6, "max_validation_bytes": 10**6}
    report = fit_baselines(store, documents, **caps)
    bits = [report.scores(order).total_bits_per_byte() for order in (5, 6, 8)]
    assert all(0.3 < value < 2 for value in bits)
    assert report.scores(5).num_tokens.tolist() == (report.scores(5).num_bytes + 1).tolist()
    assert report.summary["train_documents"] == 40
    assert not report.summary["sampled"]
    before = (report.path / "manifest.json").stat().st_mtime_ns
    again = fit_baselines(store, documents, **caps)
    assert again.key == report.key
    assert (again.path / "manifest.json").stat().st_mtime_ns == before


def test_caps_are_kept_and_recorded(store, document_set, document):
    documents = document_set(
        [document(t, split="train") for t in make_texts(40, 1)]
        + [document(t) for t in make_texts(20, 2)]
    )
    report = fit_baselines(store, documents, max_train_bytes=2000, max_validation_bytes=1000)
    assert report.summary["sampled"]
    assert report.summary["train_bytes"] < 2300
    assert 2 <= len(report.scores(5)) < 20


def test_no_text_is_said_not_scored(store, document_set, document):
    documents = document_set([document("only validation")])
    with pytest.raises(EmptyEvaluationError, match="0 train and 1 validation"):
        fit_baselines(store, documents, max_train_bytes=2000, max_validation_bytes=1000)
