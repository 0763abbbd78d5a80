"""Only what was read counts, and it is scored like any other text."""

import library_tokenizers as library
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.canaries import CanaryPair, CanarySet
from lmcore.data.tokens.corpus import make_corpus
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.evaluation.memory.consumed_text import (
    consumed_lengths,
    consumed_mask,
    sample_consumed,
)
from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM

RANGES = st.lists(st.integers(0, 60), unique=True, max_size=12).map(
    lambda places: list(zip(*[iter(sorted(places))] * 2, strict=False))
)


@settings(deadline=None)
@given(RANGES, st.integers(0, 60), st.integers(0, 20))
def test_the_mask_is_that_of_the_definition(ranges, start, length):
    read = {place for low, high in ranges for place in range(low, high)}
    found = consumed_mask(ranges, start, start + length)
    assert found.tolist() == [place in read for place in range(start, start + length)]


@pytest.fixture
def corpus(store, document, document_set):
    """Twelve train documents of ten bytes and an end, by bytes."""
    documents = document_set([document(f"text no {i:02d}", split="train") for i in range(12)])
    config = TokenizerConfig(kind="byte")
    return make_corpus(store, documents, fit_tokenizer(store, documents, config=config))


def test_documents_of_which_half_was_read_go_first_where_there_are_ten(corpus):
    starts = [0, *map(int, corpus.train_stream.doc_ends)]
    ten = [(start, start + 6) for start in starts[:10]]
    little = (starts[10], starts[10] + 5)
    found = sample_consumed(corpus, ranges=[*ten, little], max_bytes=10**6)
    assert [fact.num_bytes for fact in found.facts] == [6] * 10
    # With fewer than ten, others are better than nothing.
    found = sample_consumed(corpus, ranges=[*ten[:9], little], max_bytes=10**6)
    assert [fact.num_bytes for fact in found.facts] == [6] * 9 + [5]


def test_canaries_are_no_documents(store, document, document_set):
    documents = document_set([document(f"text no {i:02d}", split="train") for i in range(12)])
    tokenizer = fit_tokenizer(store, documents, config=TokenizerConfig(kind="byte"))
    pairs = tuple(
        CanaryPair(inside=f"aaaa {i:02d}", outside=f"bbbb {i:02d}", after=(2,)) for i in range(9)
    )
    canaries = CanarySet(key="k", pairs=pairs)
    corpus = make_corpus(store, documents, tokenizer, canaries=canaries)
    stream = corpus.train_stream
    train = {row["id"].encode() for row in documents.iter_rows("train")}
    ends = [int(end) for end in stream.doc_ends]
    starts = dict(zip(stream.doc_ids.tolist(), [0, *ends[:-1]], strict=True))
    own = [start for name, start in starts.items() if name in train]
    planted = [start for name, start in starts.items() if name not in train]
    assert (len(own), len(planted)) == (12, 9)
    # Nine documents and nine canaries by half are fewer than ten documents: others are asked too.
    half = [(start, start + 6) for start in (*own[:9], *planted)]
    ranges = sorted([*half, (own[9], own[9] + 3)])
    found = sample_consumed(corpus, ranges=ranges, max_bytes=10**6)
    assert sorted(fact.num_bytes for fact in found.facts) == [3] + [6] * 9
    assert sorted(consumed_lengths(corpus, ranges=ranges, max_bytes=10**6)) == [3] + [6] * 9
    # Nor do they take up room in the sample.
    everything = [(0, len(stream))]
    assert len(sample_consumed(corpus, ranges=everything, max_bytes=80).facts) == 8
    assert consumed_lengths(corpus, ranges=everything, max_bytes=80) == [10] * 8


def test_the_end_of_a_document_counts_as_a_token_and_not_as_text(corpus):
    end = int(corpus.train_stream.doc_ends[0])
    found = sample_consumed(corpus, ranges=[(end - 2, end)], max_bytes=10**6)
    (fact,), (mask,), (bytes_mask,) = found.facts, found.counted, found.counted_bytes
    assert fact.num_bytes == 1
    assert mask.tolist() == bytes_mask.tolist() == [False] * 9 + [True, True]
    assert found.clusters == {fact.cluster}
    table = found.table(np.array([3.0]))
    assert (table.num_tokens.tolist(), table.num_bytes.tolist()) == ([2], [1])
    # Of a document whose end alone was read there is no text to count.
    assert sample_consumed(corpus, ranges=[(end - 1, end)], max_bytes=10**6).facts == []


def test_a_sample_stops_at_the_bytes_asked_for(corpus):
    stream = corpus.train_stream
    found = sample_consumed(corpus, ranges=[(0, len(stream))], max_bytes=35)
    assert 3 <= len(found.facts) <= 4
    assert sample_consumed(corpus, ranges=[], max_bytes=35).facts == []


@pytest.mark.parametrize("made", [library.byte_fallback, library.lowering])
def test_bytes_are_those_of_the_documents(store, document, document_set, made):
    text = "The ﬁrst cat sat; the ½ SECOND cat e\u0301 sat."
    documents = document_set([document(f"{i}{text}", split="train") for i in range(3)])
    corpus = make_corpus(store, documents, library.borrow(store, made()))
    stream = corpus.train_stream
    assert stream.spelled_bytes != stream.num_bytes
    found = sample_consumed(corpus, ranges=[(0, len(stream))], max_bytes=10**6)
    size = len(f"0{text}".encode())
    assert [fact.num_bytes for fact in found.facts] == [size] * 3
    assert sorted(found.texts) == [f"{i}{text}".encode() for i in range(3)]
    assert [int(sizes.sum()) for sizes in found.sizes] == [size] * 3
    assert [len(mask) for mask in found.counted_bytes] == [size + 1] * 3


@pytest.mark.usefixtures("one_thread")
def test_scores_of_train_count_consumed_tokens_only(easy):
    stream = easy.corpus.train_stream
    model = easy.checkpoint.load("best")
    pieces = easy.corpus.loaded.pieces
    sizes = np.array([len(piece) for piece in pieces])

    def sample(*ranges):
        return sample_consumed(easy.corpus, ranges=list(ranges), max_bytes=10**6)

    whole = sample((0, len(stream))).scored_by(model)
    assert len(whole) == 60
    assert whole.num_bytes.sum() == stream.num_bytes
    assert set(whole.split) == {"train"}
    middle = int(stream.doc_ends[29])
    half = sample((0, middle)).scored_by(model)
    assert len(half) == 30
    same = whole.select(whole.isin(set(half.id)))
    np.testing.assert_allclose(same.nll_nats, half.nll_nats, rtol=1e-5)
    cut = int(stream.doc_ends[0]) // 2
    parts = sample((0, cut), (cut + 3, middle))
    table = parts.scored_by(model)
    (row,) = np.flatnonzero(table.id == stream.doc_ids[0].decode())
    size = sizes[stream.read(0, int(stream.doc_ends[0]))].sum()
    assert table.num_bytes[row] == size - sizes[stream.read(cut, cut + 3)].sum()
    assert table.num_tokens[row] == stream.doc_ends[0] - 3
    for fact, text, mask in zip(parts.facts, parts.texts, parts.counted_bytes, strict=True):
        assert len(mask) == len(text) + 1
        assert mask[:-1].sum() == fact.num_bytes
    assert parts.texts[row].decode() in {
        d.text for d in easy.corpus.documents.iter_documents("train")
    }
    assert len(sample().scored_by(model)) == 0


def test_so_many_documents_are_the_first_of_more(corpus):
    ranges = [(0, len(corpus.train_stream))]
    lengths = consumed_lengths(corpus, ranges=ranges, max_bytes=10**6)
    assert lengths == [10] * 12
    few, more = (
        {fact.id for fact in sample_consumed(corpus, ranges=ranges, max_bytes=10**6, most=n).facts}
        for n in (3, 7)
    )
    assert (len(few), len(more)) == (3, 7)
    assert few < more
    assert consumed_lengths(corpus, ranges=ranges, max_bytes=35) == [10] * 4


def test_what_comes_behind_the_last_consumed_token_is_not_read(corpus):
    tokenizer = corpus.loaded
    config = ModelConfig(pattern="LA", d_model=16, num_heads=1, head_dim=8, window=8)
    model = RecurrentAttentionLM(config, tokenizer.vocab_size, tokenizer.end_id).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    starts = [0, *map(int, corpus.train_stream.doc_ends)]
    ranges = [(starts[0], starts[0] + 4), (starts[1], starts[2]), (starts[2] + 2, starts[2] + 7)]
    whole = sample_consumed(corpus, ranges=ranges, max_bytes=10**6)
    part = whole.cut()
    assert sorted(map(len, part.tokens)) == [4, 7, 10]
    assert sorted(consumed_lengths(corpus, ranges=ranges, max_bytes=10**6)) == [4, 7, 10]
    assert [int(mask.sum()) for mask in part.counted] == [int(mask.sum()) for mask in whole.counted]
    assert [fact.num_bytes for fact in part.facts] == [fact.num_bytes for fact in whole.facts]
    found, expected = part.scored_by(model), whole.scored_by(model)
    np.testing.assert_allclose(found.nll_nats, expected.nll_nats, rtol=1e-5)
    assert found.num_tokens.tolist() == expected.num_tokens.tolist()
    assert part.texts == whole.texts
