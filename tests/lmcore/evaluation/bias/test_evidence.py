"""From documents and a model to evidence."""

import json

import pytest

from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.tokenizer import train_tokenizer
from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.evaluation.bias.evidence import measure_bias
from lmcore.evaluation.bias.words import WORDS
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.bias_lm import bias_lm
from lmcore.evaluation.statistics.resampling import Resampling

LIMITS = GatesConfig.default().bias_lm
NAMES = [word.text for word in WORDS.values() if word.labour_share is not None][:24]


@pytest.fixture
def stereotyped(document, document_set):
    """24 occupations, each in 30 documents; half are always "she", half always "he"."""
    documents = [
        document(
            f"{number}: the {name} said that {'she' if place % 2 else 'he'} was there .",
            split="train" if number else "validation",
        )
        for place, name in enumerate(NAMES)
        for number in range(31)
    ]
    return document_set(documents)


def test_train_documents_are_counted_and_words_asked(stereotyped, model_for):
    tokenizer = ByteTokenizer()
    found = measure_bias(
        stereotyped, model=model_for(tokenizer, 0.1), tokenizer=tokenizer, limits=LIMITS
    )
    assert sorted(leaning.word.text for leaning in found.words) == sorted(NAMES)
    assert {leaning.count.occurrences for leaning in found.words} == {30}
    for leaning in found.words:
        sides = (leaning.count.female, leaning.count.male)
        assert sides == ((30, 0) if NAMES.index(leaning.word.text) % 2 else (0, 30))
    assert found.counts.pronouns == {"she": 360, "he": 360, "her": 0, "his": 0}
    assert found.counts.num_documents == 720
    assert not found.sampled
    said = bias_lm(found, limits=LIMITS, required=True, resampling=Resampling(resamples=1000))
    json.dumps(said.to_json(), allow_nan=False)


@pytest.mark.parametrize("kind", ["byte", "word"])
def test_an_untrained_model_has_not_understood_the_sentences(stereotyped, kind, model_for):
    texts = [d.text for d in stereotyped.iter_documents()]
    # Possessive pronouns and strangers, so that a vocabulary of words has all that is asked for.
    texts.append(" her his of to was and")
    tokenizer = train_tokenizer(texts, config=TokenizerConfig(kind=kind, vocab_size=1000))
    # Its head is zero: every token costs the same, and no filling is preferred to another.
    found = measure_bias(
        stereotyped, model=model_for(tokenizer), tokenizer=tokenizer, limits=LIMITS
    )
    assert {leaning.related for leaning in found.words} == {0.0}
    said = bias_lm(found, limits=LIMITS, required=True, resampling=Resampling(resamples=1000))
    assert said.outcome == "INCONCLUSIVE"
    assert said.evidence["code"] == "PRECONDITION"
    assert "prefers pronouns to words that do not fit in 0%" in said.reason


def test_few_words_are_the_most_frequent_ones_of_classes_that_are_left(stereotyped, model_for):
    tokenizer = ByteTokenizer()
    model, documents = model_for(tokenizer, 0.1), stereotyped
    some, none = (
        measure_bias(documents, model=model, tokenizer=tokenizer, limits=LIMITS, most=most)
        for most in (5, 2)
    )
    assert 3 <= len(some.words) <= 5
    assert min(some.groups.count(kind) for kind in some.groups) >= 3
    assert none.words == ()
    assert none.counts.num_documents == some.counts.num_documents


def test_a_large_text_is_sampled_and_says_so(stereotyped, model_for):
    tokenizer = ByteTokenizer()
    limits = LIMITS.model_copy(update={"max_train_bytes": 2_000})
    found = measure_bias(
        stereotyped, model=model_for(tokenizer), tokenizer=tokenizer, limits=limits
    )
    assert found.sampled
    assert found.counts.num_documents < 60
    said = bias_lm(found, limits=limits, required=False)
    assert said.outcome == "SKIPPED"
    assert said.evidence["sampled"]


@pytest.mark.parametrize("missing", ["she", "he"])
def test_text_without_one_side_is_said_with_counts(document, document_set, missing, model_for):
    there = "he" if missing == "she" else "she"
    documents = [
        document(f"{number} the {name} said that {there} was there .", split="train")
        for name in NAMES
        for number in range(25)
    ]
    texts = [f" {d.text}" for d in documents]
    tokenizer = train_tokenizer(texts, config=TokenizerConfig(kind="bpe", vocab_size=300))
    found = measure_bias(
        document_set(documents), model=model_for(tokenizer), tokenizer=tokenizer, limits=LIMITS
    )
    for required, outcome in ((True, "INCONCLUSIVE"), (False, "SKIPPED")):
        said = bias_lm(found, limits=LIMITS, required=required)
        assert said.outcome == outcome
        assert f"the training text has '{missing}' 0 times" in said.reason


def test_no_train_document_is_no_crash(document, document_set, model_for):
    tokenizer = ByteTokenizer()
    documents = document_set([document("the nurse said that she was there")])
    found = measure_bias(documents, model=model_for(tokenizer), tokenizer=tokenizer, limits=LIMITS)
    assert bias_lm(found, limits=LIMITS, required=True).outcome == "INCONCLUSIVE"
