"""A classifier reads what is there, learns by layers, and comes back as it was stored."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lmcore.errors import IntegrityError
from lmcore.tasks.learning.classifier import (
    ClassifierLoss,
    TextClassifier,
    load_classifier,
    save_classifier,
)

Make = Callable[..., TextClassifier]
TOKENS = torch.tensor([[9, 1, 2, 3], [9, 4, 0, 0]])
PRESENT = torch.tensor([[1.0, 1, 1, 1], [1, 1, 0, 0]])


@pytest.mark.parametrize("words", [True, False])
def test_what_stands_in_the_padding_changes_nothing(classifier: Make, words: bool) -> None:
    model = classifier(words=words)
    found = model(TOKENS, PRESENT)
    other = TOKENS.clone()
    other[1, 2:] = 7
    torch.testing.assert_close(model(other, PRESENT), found)
    torch.testing.assert_close(model(TOKENS[1:, :2], PRESENT[1:, :2]), found[1:])
    # But a token that is there does.
    other[1, 1] = 5
    assert not torch.allclose(model(other, PRESENT)[1], found[1])


def test_only_a_source_of_randomness_drops_anything(classifier: Make) -> None:
    model = classifier(dropout=0.5)
    assert torch.equal(model(TOKENS, PRESENT), model(TOKENS, PRESENT))
    first, again, other = (
        model(TOKENS, PRESENT, rng=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_network_and_words_are_scaled_apart(classifier: Make) -> None:
    model = classifier()
    whole = model(TOKENS, PRESENT)
    assert model.word_counts is not None
    words = model.word_counts(TOKENS, PRESENT)
    model.scale(network=3.0, words=0.5)
    torch.testing.assert_close(model(TOKENS, PRESENT), 3 * (whole - words) + words / 2)


def test_every_parameter_has_one_depth(classifier: Make) -> None:
    for words in (True, False):
        model = classifier(words=words)
        found = [id(parameter) for layer in model.depths() for parameter in layer]
        # The network's own head predicts tokens and is not used.
        unused = {
            name.split(".")[1]
            for name, parameter in model.named_parameters()
            if id(parameter) not in found
        }
        assert len(found) == len(set(found))
        assert all("head" in name or "pointer" in name for name in unused), unused


def test_the_loss_is_the_sum_of_nats_of_the_classes(classifier: Make) -> None:
    model = classifier(words=False, num_labels=3)
    model.scale(network=0.0, words=1.0)
    nats, count, state = ClassifierLoss(model, held_out=False)(
        TOKENS, torch.tensor([0, 2]), state=None, rng=None, weights=PRESENT
    )
    assert nats.item() == pytest.approx(2 * math.log(3))
    assert (count.item(), state) == (2.0, None)


@pytest.mark.parametrize("words", [True, False])
def test_it_comes_back_as_it_was(classifier: Make, tmp_path: Path, words: bool) -> None:
    model = classifier(words=words, num_labels=3)
    save_classifier(model, tmp_path)
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    again = load_classifier(tmp_path)
    assert torch.equal(torch.rand(2), expected)  # the caller's randomness is left alone
    assert not again.training
    assert again.num_labels == 3
    assert (again.word_counts is None) is not words
    assert torch.equal(again(TOKENS, PRESENT), model(TOKENS, PRESENT))


def test_what_is_no_classifier_is_refused(classifier: Make, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"model\.json: not a classifier"):
        load_classifier(tmp_path)
    save_classifier(classifier(), tmp_path)
    record = json.loads((tmp_path / "model.json").read_text())
    for change, message in (
        ({"kind": "language_model"}, "kind 'language_model'; expected 'classifier'"),
        ({"num_labels": 5}, r"model\.safetensors.*size mismatch"),
        ({"word_counts": None}, r"model\.safetensors.*unknown word_counts"),
        ({"config": {}}, r"model\.safetensors"),
        ({"vocab_size": "many"}, r"model\.json"),
    ):
        (tmp_path / "model.json").write_text(json.dumps({**record, **change}))
        with pytest.raises(IntegrityError, match=message):
            load_classifier(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps(record))
    load_classifier(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(IntegrityError, match="nothing was loaded"):
        load_classifier(tmp_path)
