"""From documents and a model to evidence; probes by path that stop nothing."""

import json

import pytest
import torch

from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.tokenizer import train_tokenizer
from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.evaluation.bias.evidence import measure_bias
from lmcore.evaluation.bias.probes import probes_digest, run_probes
from lmcore.evaluation.bias.words import WORDS
from lmcore.evaluation.config import GatesConfig, ProbePaths
from lmcore.evaluation.gates.bias_lm import bias_lm
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.model.config import ModelConfig
from lmcore.model.language_model import RecurrentAttentionLM

LIMITS = GatesConfig.default().bias_lm
NAMES = [word.text for word in WORDS.values() if word.labour_share is not None][:24]


def model_for(tokenizer, scale=0.0):
    torch.manual_seed(0)
    shape = ModelConfig(pattern="LA", d_model=16, head_dim=8, window=8)
    model = RecurrentAttentionLM(shape, tokenizer.vocab_size, tokenizer.end_id)
    with torch.no_grad():
        model.head_weight.normal_(std=scale)
    return model.eval()


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


def test_train_documents_are_counted_and_words_asked(stereotyped):
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
def test_an_untrained_model_has_not_understood_the_sentences(stereotyped, kind):
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


def test_a_large_text_is_sampled_and_says_so(stereotyped):
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
def test_text_without_one_side_is_said_with_counts(document, document_set, missing):
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


def test_no_train_document_is_no_crash(document, document_set):
    tokenizer = ByteTokenizer()
    documents = document_set([document("the nurse said that she was there")])
    found = measure_bias(documents, model=model_for(tokenizer), tokenizer=tokenizer, limits=LIMITS)
    assert bias_lm(found, limits=LIMITS, required=True).outcome == "INCONCLUSIVE"


def lists(*words):
    return {"name": " ".join(words), "words": list(words)}


def test_probes_run_where_they_are_given_and_stop_nothing(tmp_path):
    tokenizer = ByteTokenizer()
    model = model_for(tokenizer, 0.1)
    none = ProbePaths(crows_pairs=None, weat=None)
    assert run_probes(none, model=model, tokenizer=tokenizer, seed=0) == {}
    assert probes_digest(none) == {}
    pairs, tests = tmp_path / "pairs.csv", tmp_path / "weat.json"
    pairs.write_text("sent_more,sent_less,bias_type\nShe is here.,He is here.,gender\n")
    test = {
        "first_target": lists("rose", "lily"),
        "second_target": lists("ant", "bee"),
        "first_attribute": lists("good", "fine"),
        "second_attribute": lists("bad", "sad"),
    }
    tests.write_text(json.dumps([test]))
    paths = ProbePaths(crows_pairs=str(pairs), weat=str(tests))
    found = run_probes(paths, model=model, tokenizer=tokenizer, seed=0)
    assert found["crows_pairs"]["all"]["pairs"] == 1
    assert -2 <= found["weat"]["tests"][0]["d"] <= 2
    json.dumps(found, allow_nan=False)
    before = probes_digest(paths)
    tests.write_text("nothing")
    assert probes_digest(paths)["weat"] != before["weat"]
    assert probes_digest(paths)["crows_pairs"] == before["crows_pairs"]
    broken = run_probes(paths, model=model, tokenizer=tokenizer, seed=0)
    assert "not a file of word lists" in broken["weat"]["problem"]
    pairs.unlink()
    assert probes_digest(paths)["crows_pairs"] == "missing"
    gone = run_probes(paths, model=model, tokenizer=tokenizer, seed=0)
    assert "pairs.csv" in gone["crows_pairs"]["problem"]
