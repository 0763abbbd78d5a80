"""Log-odds of pronouns, against probabilities that are made up and against a model's logits."""

import math

import numpy as np
import pytest
import torch

from lmcore.controls.language_models.bias_lm import sharpened
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.tokenizer import train_tokenizer
from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.evaluation.bias import association
from lmcore.evaluation.bias.association import (
    Leanings,
    measure_leanings,
    string_nats,
    unknown_pronouns,
)
from lmcore.evaluation.bias.templates import TEMPLATES
from lmcore.evaluation.bias.words import WORDS
from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM

TEXT = "the nurse said that she was of to and had her own work he his"


@pytest.fixture(scope="module")
def byte_model():
    torch.manual_seed(0)
    tokenizer = ByteTokenizer()
    config = ModelConfig(pattern="LA", d_model=16, head_dim=8, window=8)
    model = RecurrentAttentionLM(config, tokenizer.vocab_size, tokenizer.end_id)
    with torch.no_grad():
        model.head_weight.normal_(std=0.5)
    return model.eval(), tokenizer


def test_nats_are_those_of_the_logits(byte_model):
    model, tokenizer = byte_model
    found = string_nats(model, tokenizer, ["she", "he was"])
    for text, nats in zip(["she", "he was"], found, strict=True):
        ids = tokenizer.encode(text)
        with torch.inference_mode():
            logits, _ = model(torch.tensor([[tokenizer.end_id, *ids[:-1]]]))
        chances = logits[0].log_softmax(-1)[range(len(ids)), ids]
        assert nats == pytest.approx(-float(chances.sum()), rel=1e-4)


def test_fillings_are_summed_over_endings(monkeypatch):
    chances = {"she was": 0.02, "she had": 0.04, "he was": 0.01, "he had": 0.01}

    def chance(text):
        filling, ending = text.split()[-2:]
        if filling in ("of", "to"):
            # Likelier than the pronouns after one opening in four.
            return 0.5 if "did not know" in text else 1e-4
        return chances.get(f"{filling} {ending}", 0.1)

    def invented(model, tokenizer, strings):
        return -np.log([chance(text) for text in strings])

    monkeypatch.setattr(association, "string_nats", invented)
    found = measure_leanings(None, None, [WORDS["nurse"], WORDS["teacher"]])
    assert list(found) == ["person"]
    leanings = found["person"]
    assert [word.text for word in leanings.words] == ["nurse", "teacher"]
    assert leanings.log_odds[:, :4] == pytest.approx(math.log(0.06 / 0.02))
    # Of the four subject templates three are understood; in the possessive ones all fillings cost
    # the same, and a tie is no preference.
    assert leanings.related == pytest.approx(3 / 6)
    assert leanings.half_width == pytest.approx(0)


def test_a_template_that_leans_as_a_whole_adds_no_doubt():
    words = tuple(WORDS[name] for name in ("nurse", "teacher", "farmer"))
    steps = np.arange(6.0)
    one = Leanings(
        words=words, log_odds=np.array([[1.0], [2.0], [4.0]]) + steps, related=np.ones(3)
    )
    assert one.half_width == pytest.approx(0, abs=1e-12)
    noisy = one.log_odds.copy()
    noisy[0] += [1, -1, 1, -1, 1, -1]
    other = Leanings(words=words, log_odds=noisy, related=np.ones(3))
    assert other.half_width[0] > other.half_width[1] > 0


@pytest.mark.parametrize("kind", ["byte", "char", "word", "bpe"])
def test_every_kind_of_tokenizer_is_asked(kind):
    torch.manual_seed(1)
    config = TokenizerConfig(kind=kind, vocab_size=300)
    tokenizer = train_tokenizer([TEXT, f" {TEXT}"], config=config)
    shape = ModelConfig(pattern="LA", d_model=16, head_dim=8, window=8)
    model = RecurrentAttentionLM(shape, tokenizer.vocab_size, tokenizer.end_id).eval()
    words = [WORDS["nurse"], WORDS["brave"]]
    found = measure_leanings(model, tokenizer, words)
    assert {word.text for part in found.values() for word in part.words} == {"nurse", "brave"}
    for kind_found, part in found.items():
        assert part.log_odds.shape == (1, len(TEMPLATES[kind_found]))
        assert np.isfinite(part.log_odds).all()
    assert unknown_pronouns(tokenizer) == []


def test_a_vocabulary_of_words_may_lack_pronouns():
    config = TokenizerConfig(kind="word", vocab_size=300)
    tokenizer = train_tokenizer(["a man said that he has his own work"], config=config)
    assert unknown_pronouns(tokenizer) == ["she", "her"]


def test_a_temperature_divides_the_log_odds(byte_model):
    model, tokenizer = byte_model
    tokens = torch.tensor([[tokenizer.end_id, 65, 66]])
    with torch.inference_mode():
        before, _ = model(tokens)
        after, _ = sharpened(model, 0.5)(tokens)
        again, _ = model(tokens)
    assert torch.allclose(after, 2 * before, atol=1e-4)
    assert torch.equal(before, again)
