import itertools

import numpy as np
import pytest
from declaration import ARTICLE_1
from hypothesis import given, settings
from hypothesis import strategies as st
from library_tokenizers import borrow, byte_fallback, lowering

from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.shards import write_shards
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.evaluation.memory.attribution import _character_edges, attribute
from lmcore.evaluation.memory.suffix_array import train_index

QUOTE = "the harbour was silent when the last of the silver ships returned at dawn"
OTHER = "nobody had expected that the garden would bloom again after such a winter"
COMMON = "once upon a time there was a king who had three daughters and no son at all"

# One puts a space before each text, the other changes what it reads.
BORROWED = {"byte fallback": byte_fallback, "lowering": lowering}


class Library:
    """Documents, their index, and the facts that a version keeps of them."""

    def __init__(self, store, document, document_set, kind):
        texts = [f"One began: {QUOTE}. And then?", f"Häßlich 🙂 {OTHER} indeed; {QUOTE}, he said."]
        texts += [f"{i}: {COMMON}. The {i}th ended." for i in range(7)]
        rows = [
            document(text, split="train", license=f"L{i}", name=f"{i}.txt")
            for i, text in enumerate(texts)
        ]
        self.rows = rows
        documents = document_set([*rows, document("a tune text", split="tune")])
        if kind in BORROWED:
            handle = borrow(store, BORROWED[kind]())
        else:
            config = TokenizerConfig(kind=kind, vocab_size=400)
            handle = fit_tokenizer(store, documents, config=config)
        self.tokenizer = handle.load()
        self.index = train_index(store, write_shards(store, documents, handle))

    def look_up(self, ids):
        facts = {d.id: {"id": d.id, "license": d.license, "source": d.origin} for d in self.rows}
        return {identity: facts[identity] for identity in ids}

    def spans(self, text, **options):
        return [
            span.to_json()
            for span in attribute(
                text,
                index=self.index,
                tokenizer=self.tokenizer,
                look_up=self.look_up,
                **options,
            )
        ]


@pytest.fixture(params=["byte", "char", "word", "bpe", *BORROWED])
def library(request, store, document, document_set):
    return Library(store, document, document_set, request.param)


def test_a_span_names_every_document_and_licence(library):
    text = f"Ünlike what we wrote, {QUOTE}; it rained. Then {OTHER}!"
    first, second = library.spans(text)
    assert set(first) == {"start", "end", "text", "documents"}
    # The last word may be cut: a piece of the tokenizer joins it with what follows.
    assert QUOTE.rpartition(" ")[0] in first["text"]
    assert OTHER.rpartition(" ")[0] in second["text"]
    for span in (first, second):
        assert text[span["start"] : span["end"]] == span["text"]
        assert span["text"] == span["text"].strip()
    assert sorted(d["license"] for d in first["documents"]) == ["L0", "L1"]
    assert [d["license"] for d in second["documents"]] == ["L1"]


def test_common_phrases_and_short_pieces_are_left_out(library):
    assert library.spans(f"He said that {COMMON} and left") == []
    assert len(library.spans(f"He said that {COMMON} and left", max_documents=7)) == 1
    assert library.spans("the last of the silver ships") == []
    assert library.spans("") == []


def test_documents_that_the_version_does_not_know_are_left_out(library):
    """Canaries are in the training stream, and no documents."""
    library.look_up = lambda ids: {}
    assert library.spans(QUOTE) == []


@settings(deadline=None)
@given(st.text("aß🙂 ", max_size=30), st.lists(st.integers(0, 40), max_size=5))
def test_edges_are_those_of_the_characters(text, cuts):
    raw = text.encode()
    bounds = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    pieces = [raw[a:b] for a, b in itertools.pairwise(bounds)]
    edges = _character_edges(text, np.arange(len(pieces)), pieces)
    assert len(edges) == len(pieces) + 1
    for edge, bound in zip(edges, bounds, strict=False):
        # The first character that begins at the byte or behind it.
        assert len(text[:edge].encode()) >= bound
        assert edge == 0 or len(text[: edge - 1].encode()) < bound


@pytest.mark.parametrize("language", ["hi", "th", "zh", "ja"])
def test_spans_are_found_in_scripts_with_few_blanks(store, document, document_set, language):
    text = ARTICLE_1[language]
    documents = document_set(
        [document(f"1. {text} 2.", split="train"), document("x", split="tune")]
    )
    handle = fit_tokenizer(store, documents, config=TokenizerConfig(kind="char"))
    index = train_index(store, write_shards(store, documents, handle))
    found = attribute(
        # A blank is no sign that words are separated by blanks.
        f"? {text[:20]} ? {text} ?",
        index=index,
        tokenizer=handle.load(),
        look_up=lambda ids: {identity: {"id": identity} for identity in ids},
        min_characters=30,
    )
    assert [span.text for span in found] == [text]
