"""Samples to show: seeded, from nothing and from how documents begin."""

import pytest
import torch

from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.evaluation.samples import NUM_SAMPLES, SAMPLE_TOKENS, draw_samples
from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM

TOKENIZER = ByteTokenizer()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = ModelConfig(pattern="L", d_model=8, num_heads=1, head_dim=4, window=4)
    return RecurrentAttentionLM(config, TOKENIZER.vocab_size, TOKENIZER.end_id).eval()


def test_prompts_are_nothing_and_first_words(model, document):
    texts = [document(f"  text number {i} " + "goes on and on " * 9) for i in range(9)]
    found = draw_samples(model, TOKENIZER, texts=texts, seed=5)
    assert [sample["prompt"][:13] for sample in found] == ["", *(f"text number {i}" for i in "012")]
    assert all(len(sample["prompt"]) <= 40 for sample in found)
    assert [sample["seed"] for sample in found] == [5, 6, 7, 8]
    assert max(sample["tokens"] for sample in found) <= SAMPLE_TOKENS
    assert found == draw_samples(model, TOKENIZER, texts=texts, seed=5)
    assert len(found) == NUM_SAMPLES


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_are_the_first_ones(model, document, count):
    texts = [document("a text")]
    whole = draw_samples(model, TOKENIZER, texts=texts, seed=0)
    assert draw_samples(model, TOKENIZER, texts=texts, seed=0, count=count) == whole[:count]
