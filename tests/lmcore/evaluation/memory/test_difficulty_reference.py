"""The reference tells which text is harder, from text of neither side."""

import math

import numpy as np
import pytest

from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.corpus import make_corpus
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.evaluation.baselines.ngram import KneserNey
from lmcore.evaluation.memory.consumed_text import sample_consumed
from lmcore.evaluation.memory.difficulty_reference import ORDER, score_reference

LIMIT = 10**6


@pytest.mark.usefixtures("one_thread")
def test_reference_has_seen_neither_side(easy):
    seen = []

    class Spy(KneserNey):
        @classmethod
        def fit(cls, documents, *, orders):
            seen.extend(documents)
            return KneserNey.fit(seen, orders=orders)

    sample = sample_consumed(
        easy.corpus,
        ranges=easy.checkpoint.consumed().ranges,
        max_bytes=8000,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmcore.evaluation.memory.difficulty_reference.KneserNey", Spy)
        found = score_reference(
            easy.corpus.documents,
            sample=sample,
            validation=easy.corpus.documents.iter_documents("validation"),
            max_bytes=10**6,
        )
    assert len(seen) == 60 - len(sample.facts)
    assert not set(seen) & set(sample.texts)
    model = easy.checkpoint.load("best")
    assert found.train.id.tolist() == sample.scored_by(model).id.tolist()


@pytest.fixture
def corpus(store, document, document_set):
    documents = document_set(
        [document(f"the same old song, verse {i}", split="train") for i in range(12)]
        + [document("the same old song, verse x"), document("QZJX! 7&%$ vwkq 9931 zzYy")]
    )
    config = TokenizerConfig(kind="byte")
    return make_corpus(store, documents, fit_tokenizer(store, documents, config=config))


def score(corpus, ranges, max_bytes=LIMIT):
    sample = sample_consumed(corpus, ranges=ranges, max_bytes=LIMIT)
    validation = list(corpus.documents.iter_documents("validation"))
    found = score_reference(
        corpus.documents, sample=sample, validation=validation, max_bytes=max_bytes
    )
    return sample, validation, found


def test_scores_are_those_of_an_ngram_over_the_rest_of_train(corpus):
    end = int(corpus.train_stream.doc_ends[1])
    sample, validation, found = score(corpus, [(0, end)])
    rest = [
        d.text.encode()
        for d in corpus.documents.iter_documents("train")
        if d.text.encode() not in sample.texts
    ]
    assert len(rest) == 10
    model = KneserNey.fit(rest, orders=(ORDER,))
    each = model.nats_each(d.text.encode() for d in validation)[ORDER]
    np.testing.assert_allclose(found.validation.nll_nats, [nats.sum() for nats in each])
    # A byte at a time, and the end of the text.
    assert [len(nats) for nats in found.validation_nats] == [d.num_bytes + 1 for d in validation]
    known, strange = found.validation.nll_nats / found.validation.num_bytes / math.log(2)
    assert known < 1 < 6 < strange


def test_of_train_only_the_consumed_bytes_count(corpus):
    end = int(corpus.train_stream.doc_ends[0])
    whole = score(corpus, [(0, end)])[2]
    first, second = (score(corpus, [r])[2] for r in ((0, 9), (9, end)))
    assert (first.train.num_bytes + second.train.num_bytes).tolist() == [end - 1]
    assert first.train.nll_nats + second.train.nll_nats == pytest.approx(whole.train.nll_nats)
    # The nats by byte are of whole documents all the same.
    np.testing.assert_allclose(first.train_nats[0], whole.train_nats[0])


def test_near_copies_of_the_sample_are_left_out(store, document, document_set):
    texts = [document(f"an original line, number {i}", split="train") for i in range(4)]
    copy = document("an original line, number 0!", split="train", cluster=texts[0].cluster)
    config = TokenizerConfig(kind="byte")

    def reference(*documents):
        made = document_set([*documents, document("held out"), document("held in")])
        corpus = make_corpus(store, made, fit_tokenizer(store, made, config=config))
        end = int(corpus.train_stream.doc_ends[0])
        return score(corpus, [(0, end)])[2]

    alone, beside = reference(*texts), reference(*texts, copy)
    np.testing.assert_array_equal(alone.train.nll_nats, beside.train.nll_nats)
    np.testing.assert_array_equal(alone.validation.nll_nats, beside.validation.nll_nats)
