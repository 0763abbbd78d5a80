import json
import math

import pytest
import torch
from torch import nn

from lmcore.controls.language_models.instrument import (
    Broken,
    Forgetless,
    Mixing,
    Peeking,
    Shifted,
    unmasked,
)
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.tokenizer import train_tokenizer
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.instrument import Instrument, instrument, probe_language_model
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
    def probe(kind=RecurrentAttentionLM, *, tokenizer=None, facts=None, train=(), change=None):
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
    assert "changed 1 of 3 texts" in found.reason


def test_a_near_copy_of_a_scored_document_in_train_is_caught(probed, document):
    cluster = document(TEXTS[0]).cluster
    found = probed(train=[("a near copy", {"cluster": cluster}), ("something else", {})])
    assert found.outcome == "FAIL"
    assert "1 train documents are copies" in found.reason
