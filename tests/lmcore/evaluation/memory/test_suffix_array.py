"""The suffix array against what a search by hand finds."""

import library_tokenizers as library
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.shards import write_shards
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.evaluation.memory import suffix_array as exact_match
from lmcore.evaluation.memory.suffix_array import SEPARATOR, SuffixArray, train_index

TEXTS = st.integers(1, 4).flatmap(
    lambda symbols: st.tuples(
        st.just(symbols), st.lists(st.integers(0, symbols - 1), max_size=60), st.integers(0, 9)
    )
)


def longest_by_hand(text, query):
    found = []
    for start in range(len(query)):
        size = 0
        while start + size < len(query) and any(
            text[i : i + size + 1] == query[start : start + size + 1] for i in range(len(text))
        ):
            size += 1
        found.append(size)
    return found


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_suffixes_are_sorted(case):
    symbols, text, _ = case
    array = SuffixArray(np.array(text, dtype=np.int32), num_symbols=symbols)
    assert array.suffixes.tolist() == sorted(range(len(text)), key=lambda i: text[i:])


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.data())
def test_longest_matches_and_places_are_those_of_a_plain_search(case, data):
    symbols, text, extra = case
    # A large vocabulary packs fewer tokens into a key.
    array = SuffixArray(np.array(text, dtype=np.int32), num_symbols=symbols + 10**extra)
    query = data.draw(st.lists(st.integers(0, symbols), max_size=30))
    found = array.longest(np.array(query, dtype=np.int64))
    assert found.length.tolist() == longest_by_hand(text, query)
    for start, (size, place) in enumerate(zip(found.length, found.place, strict=True)):
        if size:
            assert text[place : place + size] == query[start : start + size]
        else:
            assert place == -1


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.data())
def test_find_gives_every_place(case, data):
    symbols, text, extra = case
    array = SuffixArray(np.array(text, dtype=np.int32), num_symbols=symbols + 10**extra)
    pattern = data.draw(st.lists(st.integers(0, symbols), max_size=20))
    expected = [i for i in range(len(text)) if pattern and text[i : i + len(pattern)] == pattern]
    assert sorted(array.find(np.array(pattern, dtype=np.int64)).tolist()) == expected


def test_a_separator_matches_nothing():
    array = SuffixArray(np.array([0, 1, 0, 1, 2]), num_symbols=3)
    found = array.longest(np.array([0, 1, SEPARATOR, 0, 1, 2, SEPARATOR]))
    assert found.length.tolist() == [2, 1, 0, 3, 2, 1, 0]


def test_one_token_repeated_is_sorted_too():
    array = SuffixArray(np.zeros(5_000, dtype=np.int32), num_symbols=1)
    assert array.suffixes.tolist() == list(range(4_999, -1, -1))
    assert array.longest(np.zeros(100, dtype=np.int64)).length[0] == 100


@pytest.fixture
def shards(store, document, document_set):
    texts = ["the quick brown fox", "jumps over the lazy dog", "the quick red fox", "tune"]
    splits = ["train", "train", "train", "tune"]
    documents = document_set([document(t, split=s) for t, s in zip(texts, splits, strict=True)])
    tokenizer = fit_tokenizer(store, documents, config=TokenizerConfig(kind="byte"))
    return write_shards(store, documents, tokenizer)


@pytest.mark.parametrize("most", [1 << 24, 30, 5])
def test_the_index_names_document_and_offset(shards, store, monkeypatch, document, most):
    monkeypatch.setattr(exact_match, "MAX_PART_TOKENS", most)
    index = train_index(store, shards)
    query = np.frombuffer(b"a lazy dog", dtype=np.uint8).astype(np.int64)
    found = index.longest(query)
    # A document that is longer than a part is cut, and so is a match across the cut.
    whole = most > 5
    assert found.length[2] == 8 if whole else 3 <= found.length[2] < 8
    place = int(found.place[2])
    name = index.document_id(int(index.documents_at(np.array([place]))[0]))
    assert name == document("jumps over the lazy dog").id
    if whole:
        assert index.offset(place) == len("jumps over the ")
        places = index.find(np.frombuffer(b"the quick ", dtype=np.uint8).astype(np.int64))
        assert index.documents_at(places).tolist() == [0, 2]


def test_no_match_crosses_the_end_of_a_document(shards, store):
    index = train_index(store, shards)
    both = b"brown foxjumps over"
    query = np.frombuffer(both, dtype=np.uint8).astype(np.int64)
    assert index.longest(query).length[0] == len("brown fox")
    end = index.stream.end_id
    joined = np.concatenate([query[:9], [end], query[9:]])
    assert index.longest(joined).length[0] == len("brown fox")


def test_the_index_is_made_once_and_holds_no_text(shards, store, monkeypatch):
    train_index(store, shards)
    monkeypatch.setattr(SuffixArray, "_sorted", lambda self: pytest.fail("made twice"))
    index = train_index(store, shards)
    assert len(index.stream) == sum(map(len, index.stream.shards))
    for file in store.root.glob("exact-match-index/*/*"):
        assert b"quick" not in file.read_bytes()


def test_the_end_token_may_be_any_id(store, document, document_set):
    texts = ["the cat sat on the mat", "a dog and a cat", "the mat"]
    documents = document_set([document(text, split="train") for text in texts])
    handle = library.borrow(store, library.byte_level())
    tokenizer = handle.load()
    assert tokenizer.end_id == 0
    index = train_index(store, write_shards(store, documents, handle))
    query = np.array(tokenizer.encode("a cat sat on the mat"), dtype=np.int64)
    text = index.stream.read(0, len(index.stream)).tolist()
    found = index.longest(query)
    assert found.length.tolist() == longest_by_hand(text, query.tolist())
    assert found.length[2:].max() >= 3
    both = np.array([*tokenizer.encode("the mat"), 0, *tokenizer.encode("a dog")])
    ends = np.array([len(tokenizer.encode(part)) for part in ("the mat", "a dog")])
    assert index.longest(both).length[[0, ends[0], ends[0] + 1]].tolist() == [ends[0], 0, ends[1]]


def test_a_vocabulary_of_a_modern_model_takes_no_more_memory():
    rng = np.random.default_rng(0)
    text = rng.integers(0, 152_064, 2_000).astype(np.int32)
    array = SuffixArray(text, num_symbols=152_064)
    assert array.suffixes.nbytes == 4 * len(text)
    assert array.longest(text[500:520].astype(np.int64)).length[0] == 20
