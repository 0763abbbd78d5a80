"""Nothing is taken from a summary alone: rows, sources, removals and the chain are looked at."""

import json
from hashlib import sha256

import pytest

from lmcore.data.config import PolicyConfig, TokenizerConfig
from lmcore.data.copies.removal import Removal, Removals
from lmcore.data.copies.sketches import sketch_text
from lmcore.data.documents import DocumentSet, RowWriter
from lmcore.data.tokens.shards import write_shards
from lmcore.data.tokens.tokenizer import TokenizerHandle, fit_tokenizer
from lmcore.evaluation.ownership import (
    MAX_NAMED,
    Ownership,
    examine_base,
    examine_ownership,
    manifest_mismatch,
)
from lmcore.model.pretrained.base import BASE_FILE, LIBRARY_WEIGHTS_FILE, Base, BaseRecord

FILE = {"sha256": "a" * 64, "problem": ""}
LONG = " ".join(f"word{i}" for i in range(200))


@pytest.fixture
def made(store):
    """A document set whose summary and sources fit its documents, unless told otherwise."""

    def build(documents, *, sources=({"files": [FILE]},), **summary):
        licenses = {}
        for document in documents:
            licenses[document.license] = licenses.get(document.license, 0) + document.num_bytes

        def make(folder):
            with RowWriter(folder) as writer:
                for document in documents:
                    writer.add_document(document)
            if sources is not None:
                (folder / "sources.json").write_text(json.dumps({"sources": sources}))
            return {"licenses": licenses, **summary}

        rows = [[d.id, d.split, d.license, d.source] for d in documents]
        return store.build(DocumentSet, {"rows": rows, "of": [sources, summary]}, make)

    return build


def removed(document, *, sketched=False):
    sketch = sketch_text(document.text, kept=4096, max_shift=16) if sketched else None
    return Removals.of(
        [Removal(document=document.id, sketch=sketch, reason="asked", who="w", at="2026-01-02")]
    )


def test_documents_that_add_up_have_no_problem(made, document):
    documents = made([document("one"), document("two", license="MIT")], removed_documents=3)
    assert examine_ownership(documents) == Ownership(kept_out=3)


def test_a_source_without_documents_may_have_a_licence_of_no_bytes(made, document):
    licenses = {"CC0-1.0": 3, "MIT": 0}
    assert examine_ownership(made([document("one")], licenses=licenses)).broken == ()


@pytest.mark.parametrize(
    ("facts", "options", "words"),
    [
        ({"source": 7}, {}, "1 document names no source"),
        ({"source": -1}, {}, "1 document names no source"),
        ({"license": "Do what you like!"}, {}, "'Do what you like!' is no SPDX expression"),
        ({}, {"licenses": {"CC0-1.0": 4}}, "bytes by licence are not those of the documents"),
        ({}, {"licenses": {"MIT": 3}}, "bytes by licence are not those of the documents"),
        ({}, {"sources": [{"files": [{**FILE, "sha256": ""}]}]}, "1 file of the sources has no"),
        ({}, {"sources": None}, "do not say which sources"),
    ],
)
def test_what_does_not_fit_together_is_said_in_words(made, document, facts, options, words):
    (problem,) = examine_ownership(made([document("one", **facts)], **options)).broken
    assert words in problem


def test_a_file_that_could_not_be_read_needs_no_hash(made, document):
    unread = {"sha256": "", "problem": "not readable"}
    assert examine_ownership(made([document("one")], sources=[{"files": [unread]}])).broken == ()


@pytest.mark.parametrize("split", ["train", "tune", "validation"])
def test_a_removed_document_in_use_is_named(made, document, split):
    gone = document("to be forgotten", split=split, name="letter.txt")
    found = examine_ownership(made([gone, document("kept")]), removals=removed(gone))
    assert (found.removals, found.num_removed_in_use) == (1, 1)
    assert found.removed_in_use == (f"letter.txt ({gone.id[:12]})",)


def test_what_is_excluded_anyway_is_not_in_use(made, document):
    gone = document("to be forgotten", split="excluded")
    found = examine_ownership(made([gone, document("kept")]), removals=removed(gone))
    assert (found.removals, found.num_removed_in_use) == (1, 0)


def test_a_near_copy_is_found_by_its_sketch_and_not_by_its_id_alone(made, document):
    gone = document(LONG)
    copy = document(f"It was once said: {LONG}", name="copy.txt")
    documents = made([copy])
    assert examine_ownership(documents, removals=removed(gone)).removed_in_use == ()
    (found,) = examine_ownership(documents, removals=removed(gone, sketched=True)).removed_in_use
    assert found.startswith("copy.txt")


def test_all_are_counted_and_few_are_named(made, document):
    gone = document(LONG)
    copies = [document(f"{LONG} {i}") for i in range(MAX_NAMED + 5)]
    found = examine_ownership(made(copies), removals=removed(gone, sketched=True))
    assert found.num_removed_in_use == MAX_NAMED + 5
    assert len(found.removed_in_use) == MAX_NAMED


def test_tokens_of_other_documents_break_the_chain(made, document, store):
    documents = made([document("some text", split="train")])
    other = made([document("other text", split="train")])
    tokenizer = fit_tokenizer(store, documents, config=TokenizerConfig(kind="byte"))
    shards = write_shards(store, documents, tokenizer)
    assert examine_ownership(documents, tokenizer=tokenizer, shards=shards).broken == ()
    both = examine_ownership(other, tokenizer=tokenizer, shards=shards).broken
    assert both == (
        "the tokenizer was not made of these documents",
        "the shards were not made of these documents",
    )
    assert examine_ownership(other, tokenizer=tokenizer).broken == both[:1]


def test_a_manifest_that_is_not_the_registered_one_is_said():
    assert manifest_mismatch("a" * 64, "a" * 64) == ()
    assert manifest_mismatch("a" * 64, "b" * 64) == (
        "the manifest's sha256 is aaaaaaaaaaaa, the registry says bbbbbbbbbbbb",
    )


def test_a_tokenizer_that_came_with_a_model_is_no_break(made, document, store):
    documents = made([document("one")])
    borrowed = store.build(
        TokenizerHandle, {"base": "b" * 64, "code": "c"}, lambda folder: {"split": "base"}
    )
    assert examine_ownership(documents, tokenizer=borrowed).broken == ()
    # Shards are made here, of these documents, whatever cut them.
    (problem,) = examine_ownership(documents, shards=borrowed).broken
    assert problem == "the shards were not made of these documents"


def base_of(store, **facts):
    """A base whose weights are five bytes: nobody reads them here."""
    values = {"source": "owner/small@1", "name": "small", "architecture": "X", "parameters": 1}
    values |= {"vocab_size": 2, "end_token": "<end>", "end_id": 0, "most_tokens": None, "files": {}}
    values |= {"weights_sha256": sha256(b"12345").hexdigest(), "license": "Apache-2.0", **facts}

    def make(folder):
        (folder / LIBRARY_WEIGHTS_FILE).write_bytes(b"12345")
        (folder / BASE_FILE).write_text(BaseRecord(**values).model_dump_json())

    return store.build(Base, {**facts}, make)


@pytest.mark.parametrize(
    ("license_", "policy", "blocked"),
    [
        ("Apache-2.0", {}, ()),
        ("unknown", {}, ("license",)),
        ("", {}, ("license",)),
        ("unknown", {"unknown_license": "allow"}, ()),
        ("CC-BY-NC-4.0", {}, ()),
        ("cc-by-nc-4.0", {"deny": ["CC-BY-NC-4.0"]}, ("license",)),
        ("CC-BY-NC-4.0", {"allow": ["MIT", "Apache-2.0"]}, ("license",)),
        ("CC-BY-NC-4.0 OR MIT", {"allow": ["MIT"]}, ()),
        ("MIT", {"deny_origins": ["owner/*"]}, ("origin",)),
        ("MIT", {"deny_origins": ["*a forum*"]}, ("origin",)),
        ("unknown", {"deny_origins": ["*forum*"]}, ("license", "origin")),
    ],
)
def test_a_base_is_under_the_policy_for_text(store, license_, policy, blocked):
    base = base_of(store, license=license_, origin="text of A Forum")
    found = examine_base(base, policy=PolicyConfig(**policy))
    assert (found.name, found.blocked, found.broken) == ("small", blocked, ())


def test_a_licence_that_is_no_expression_is_broken(store):
    found = examine_base(base_of(store, license="free for all"), policy=PolicyConfig())
    assert found.blocked == ()
    assert found.broken == ("its licence 'free for all' is no SPDX expression",)


def test_a_base_is_the_one_that_its_record_and_the_registry_name(store):
    base = base_of(store)
    weights = base.record().weights_sha256
    assert examine_base(base, policy=PolicyConfig(), registered_weights=weights).broken == ()
    (broken,) = examine_base(base, policy=PolicyConfig(), registered_weights="0" * 64).broken
    assert broken == f"the sha256 of its weights is {weights[:12]}, the registry says 000000000000"
    other = base_of(store, weights_sha256="1" * 64)
    (broken,) = examine_base(other, policy=PolicyConfig(), registered_weights=weights).broken
    assert "the record says 111111111111" in broken
