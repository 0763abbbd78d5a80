import json
import math

import library_tokenizers as library
import numpy as np
import pytest
import torch
from torch import nn

from lmcore.controls.language_models.broken import (
    Broken,
    Forgetless,
    Hashed,
    HashedInDisguise,
    Mixing,
    Peeking,
    Shifted,
    unmasked,
)
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.borrowed import BorrowedTokenizer
from lmcore.data.tokens.tokenizer import train_tokenizer
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates import instrument as module
from lmcore.evaluation.gates.instrument import (
    Instrument,
    instrument,
    probe_language_model,
)
from lmcore.evaluation.scores.scoring import score_documents
from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM

LIMITS = GatesConfig.default().instrument
TEXTS = ["we the people of the united states " * 8, "short", "in order to form é " * 12]


def build(kind, tokenizer):
    torch.manual_seed(0)
    config = ModelConfig(pattern="LA", d_model=32, head_dim=16, window=16)
    model = kind(config, tokenizer.vocab_size, tokenizer.end_id)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.fixture
def probed(document_set, document):
    def probe(
        kind=RecurrentAttentionLM,
        *,
        tokenizer=None,
        facts=None,
        train=(),
        change=None,
        **options,
    ):
        documents = document_set(
            [document(t) for t in TEXTS]
            + [document(t, split="train", **values) for t, values in train]
        )
        tokenizer = tokenizer or train_tokenizer(TEXTS, config=TokenizerConfig(vocab_size=300))
        model = build(kind, tokenizer)
        model = change(model) if change else model
        texts = list(documents.iter_documents("validation"))
        evidence = probe_language_model(
            model,
            tokenizer=tokenizer,
            tokenizer_facts={"split": "train", "fitted_on": documents.key, **(facts or {})},
            documents=documents,
            scored=score_documents(model, tokenizer, texts),
            texts=texts,
            **options,
        )
        return instrument(evidence, limits=LIMITS, required=True)

    return probe


def test_a_sound_instrument_passes_with_room_to_spare(probed):
    found = probed()
    assert found.outcome == "PASS", found.reason
    assert found.value < LIMITS.tolerance / 5
    assert len(found.evidence["evaluation_hash"]) == 64


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Shifted, "token by token"),
        (Peeking, "later text"),
        (Mixing, "neighbours"),
        (Forgetless, "neighbours"),
        (Broken, "nan"),
    ],
)
def test_broken_models_are_caught(probed, kind, words):
    found = probed(kind)
    assert found.outcome == "FAIL"
    assert words in found.reason
    assert math.isnan(found.value) == (words == "nan")


@pytest.mark.parametrize("kind", [Hashed, HashedInDisguise])
def test_scores_that_sum_to_more_than_one_are_caught_whatever_the_model_says(probed, kind):
    def with_a_cache(model):
        # Of pairs that are not read here: its places are shared all the same.
        model.count_pairs(np.random.default_rng(0).integers(0, model.vocab_size, 4_000))
        return model

    found = probed(kind, change=with_a_cache)
    assert found.outcome == "FAIL"
    assert found.evidence["deviations"]["probabilities do not sum to one"] > 1.0


def test_the_scorer_is_asked_and_not_the_distribution_that_is_shown(probed):
    class Generous(RecurrentAttentionLM):
        def target_nll(self, features, targets):
            # Cheaper by a hair, for one token that a probe of a few texts may never meet.
            return super().target_nll(features, targets) - 1e-3 * (targets == 77)

    found = probed(Generous).evidence["deviations"]
    assert found["probabilities do not sum to one"] == pytest.approx(1e-3, rel=0.1)


@pytest.mark.parametrize("place", range(3))
def test_a_deviation_that_is_not_a_number_fails_wherever_it_stands(place):
    sizes = [1e-9, 1e-8, 1e-7]
    sizes[place] = math.nan
    deviations = dict(zip(("one", "two", "three"), sizes, strict=True))
    found = instrument(
        Instrument(deviations=deviations, faults=[], facts={}), limits=LIMITS, required=True
    )
    assert found.outcome == "FAIL"
    assert math.isnan(found.value)
    assert "(by nan, allowed 0.0001)" in found.reason
    # JSON has no NaN: the number is null, and its name is in the evidence.
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["value"] is None
    assert told["evidence"]["deviations"][list(deviations)[place]] == "nan"


def test_texts_may_be_read_token_by_token_side_by_side(probed):
    alone, beside = (probed(probed=number) for number in (None, 4))
    assert alone.outcome == beside.outcome == "PASS"
    key = "scores differ from reading token by token"
    assert beside.evidence["deviations"][key] < LIMITS.tolerance
    assert probed(probed=1).outcome == "PASS"
    assert "token by token" in probed(Shifted, probed=2).reason


def test_attention_that_sees_the_future_is_caught(probed):
    found = probed(change=unmasked)
    assert found.outcome == "FAIL"
    assert "later text changes earlier predictions" in found.reason


@pytest.mark.parametrize(
    "facts", [{"split": "validation"}, {"fitted_on": "other documents"}, {"split": None}]
)
def test_a_tokenizer_fitted_elsewhere_is_caught(probed, facts):
    found = probed(facts=facts)
    assert found.outcome == "FAIL"
    assert "tokenizer was fitted" in found.reason


def test_a_tokenizer_that_loses_text_is_caught(probed):
    class Lossy:
        def __init__(self, inner):
            self.inner = inner
            self.vocab_size, self.end_id, self.kind = inner.vocab_size, inner.end_id, inner.kind
            self.pieces = inner.pieces

        def encode(self, text):
            return self.inner.encode(text.replace("é", "e"))

        def encode_batch(self, texts):
            return [self.encode(t) for t in texts]

        def decode(self, ids):
            return self.inner.decode(ids)

    found = probed(tokenizer=Lossy(train_tokenizer(TEXTS, config=TokenizerConfig(vocab_size=300))))
    assert found.outcome == "FAIL"
    assert 'changed 1 of 3 texts: "r to form é in order to' in found.reason
    assert '" became "r to form e in order to' in found.reason


def borrowed(made):
    """A tokenizer that came with another model, and spare rows behind its tokens."""
    return BorrowedTokenizer(
        made.to_str(), vocab_size=made.get_vocab_size() + 5, end_id=made.token_to_id(library.END)
    )


@pytest.mark.parametrize("kind", sorted(library.LOSSLESS))
def test_a_tokenizer_that_came_with_another_model_passes_and_is_told(probed, kind):
    tokenizer = borrowed(library.LOSSLESS[kind]())
    assert tokenizer.end_id != tokenizer.vocab_size - 1
    found = probed(tokenizer=tokenizer, facts={"split": "base", "fitted_on": "key"})
    assert found.outcome == "PASS", found.reason
    assert "came with the model that was gone on from" in found.reason
    assert "train text only" not in found.reason
    assert found.evidence["tokenizer_split"] == "base"
    assert found.evidence["text_changed"] is None


def test_a_tokenizer_that_reads_in_lower_case_is_caught_with_an_example(probed, monkeypatch):
    monkeypatch.setitem(globals(), "TEXTS", ["we The\x1b[31m people " * 9, "short", "also short"])
    tokenizer = borrowed(library.lowering())
    found = probed(tokenizer=tokenizer, facts={"split": "base", "fitted_on": "key"})
    assert found.outcome == "FAIL"
    assert r'changed 1 of 3 texts: "we The\x1b[31m people we' in found.reason
    assert r'" became "we the\x1b[31m people we' in found.reason
    assert "\x1b" not in found.reason


def test_a_text_that_spells_the_end_token_is_caught(probed):
    inner = train_tokenizer(TEXTS, config=TokenizerConfig(vocab_size=300))

    class Ending(type(inner)):
        def encode_batch(self, texts):
            ids = super().encode_batch(texts)
            return [[*own[:3], self.end_id, *own[3:]] for own in ids]

    inner.__class__ = Ending
    found = probed(tokenizer=inner)
    assert found.outcome == "FAIL"
    assert "[end of text]" in found.reason


def test_a_large_vocabulary_is_looked_at_in_pieces(probed, monkeypatch):
    whole = probed()
    monkeypatch.setattr(module, "SUM_LOGITS", 1)
    assert probed().value == pytest.approx(whole.value, abs=1e-5)
    assert probed(change=unmasked).outcome == "FAIL"


def test_a_near_copy_of_a_scored_document_in_train_is_caught(probed, document):
    cluster = document(TEXTS[0]).cluster
    found = probed(train=[("a near copy", {"cluster": cluster}), ("something else", {})])
    assert found.outcome == "FAIL"
    assert "1 train document is a copy of scored" in found.reason
