"""One softmax and two levels of it: the same tokens, an exact distribution, a cheaper sum."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from lmcore.errors import ConfigError
from lmcore.model.config import ModelConfig
from lmcore.model.factory import load_model, save_model
from lmcore.model.loss import sequence_loss
from lmcore.model.recurrent import head
from lmcore.model.recurrent.head import default_cutoffs, expected, scores, target_nll
from lmcore.model.recurrent.model import RecurrentAttentionLM


@st.composite
def two_levels(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, tuple[int, ...]]:
    """Features [N, e], rows of the tokens [V, e], rows of the classes, cutoffs."""
    vocab_size = draw(st.integers(2, 12))
    cutoffs = tuple(sorted(draw(st.sets(st.integers(1, vocab_size - 1), min_size=1, max_size=4))))
    rng = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    return (
        torch.randn(7, 3, generator=rng),
        torch.randn(vocab_size, 3, generator=rng),
        torch.randn(len(cutoffs), 3, generator=rng),
        cutoffs,
    )


def test_two_levels_by_hand() -> None:
    # Ids 0 | 1, 2: the short list is id 0 and one class. With scores log 3 against 0 the class
    # has a quarter; inside it id 2 has two thirds.
    features = torch.tensor([[1.0]])
    weight = torch.tensor([[math.log(3.0)], [0.0], [math.log(2.0)]])
    classes = torch.zeros(1, 1)
    expected = [3 / 4, 1 / 4 * 1 / 3, 1 / 4 * 2 / 3]
    for target, probability in enumerate(expected):
        nll = target_nll(features, torch.tensor([target]), weight, classes=classes, cutoffs=(1,))
        assert nll.item() == pytest.approx(-math.log(probability), rel=1e-6)


@given(two_levels())
@settings(deadline=None, max_examples=40)
def test_all_tokens_together_have_probability_one(
    case: tuple[torch.Tensor, torch.Tensor, torch.Tensor, tuple[int, ...]],
) -> None:
    features, weight, classes, cutoffs = case
    logs = scores(features, weight, classes=classes, cutoffs=cutoffs)
    torch.testing.assert_close(logs.exp().sum(-1), torch.ones(len(features)))
    # The softmax of a caller that knows nothing of levels changes nothing.
    torch.testing.assert_close(logs.log_softmax(-1), logs, atol=1e-5, rtol=1e-5)


@given(two_levels(), st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_a_target_costs_what_its_score_says(
    case: tuple[torch.Tensor, torch.Tensor, torch.Tensor, tuple[int, ...]], seed: int
) -> None:
    features, weight, classes, cutoffs = case
    rng = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, len(weight), (len(features),), generator=rng)
    nll = target_nll(features, targets, weight, classes=classes, cutoffs=cutoffs)
    logs = scores(features, weight, classes=classes, cutoffs=cutoffs)
    torch.testing.assert_close(nll, -logs.gather(1, targets[:, None])[:, 0], atol=1e-5, rtol=1e-5)


@given(two_levels())
@settings(deadline=None, max_examples=10)
def test_the_gradient_is_that_of_the_whole_distribution(
    case: tuple[torch.Tensor, torch.Tensor, torch.Tensor, tuple[int, ...]],
) -> None:
    cutoffs = case[3]
    leaves = [tensor.double().requires_grad_() for tensor in case[:3]]
    features, weight, classes = leaves
    targets = torch.arange(len(features)) % len(weight)
    cheap = target_nll(features, targets, weight, classes=classes, cutoffs=cutoffs).sum()
    logs = scores(features, weight, classes=classes, cutoffs=cutoffs)
    whole = functional.nll_loss(logs, targets, reduction="sum")
    for one, other in zip(
        torch.autograd.grad(cheap, leaves), torch.autograd.grad(whole, leaves), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_parts_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features, weight = torch.randn(9, 4), torch.randn(20, 4)
    targets = torch.arange(9) * 2
    whole = target_nll(features, targets, weight, classes=None, cutoffs=())
    monkeypatch.setattr(head, "_LOGITS", 45)  # two rows at a time
    parts = target_nll(features, targets, weight, classes=None, cutoffs=())
    torch.testing.assert_close(parts, whole)


def test_a_large_vocabulary_gets_two_levels_by_itself() -> None:
    assert default_cutoffs(19_999) == ()
    assert default_cutoffs(33_534) == (2_048, 6_144, 14_336)
    assert all(cutoff < 200_000 for cutoff in default_cutoffs(200_000))


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_with_two_levels_trains_scores_and_is_stored(tied: bool, tmp_path) -> None:
    torch.manual_seed(0)
    config = ModelConfig(d_model=16, head_dim=4, cutoffs=(3, 6), tie_embeddings=tied)
    model = RecurrentAttentionLM(config, vocab_size=10, end_id=9)
    for parameter in (model.head_weight, model.classes):
        torch.nn.init.normal_(parameter)
    tokens = torch.randint(0, 10, (2, 12))
    loss = sequence_loss(model, tokens[:, :-1], tokens[:, 1:])
    loss.sum_nll.backward()
    assert model.classes.grad.abs().sum() > 0
    logits, _ = model(tokens[:, :-1])
    expected = functional.cross_entropy(
        logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="sum"
    )
    assert loss.sum_nll.item() == pytest.approx(expected.item(), rel=1e-5)
    save_model(model, tmp_path)
    again = load_model(tmp_path)
    assert torch.equal(again(tokens)[0], model.eval()(tokens)[0])


def test_cutoffs_beyond_the_vocabulary_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.cutoffs \[4, 10\].*10 tokens"):
        RecurrentAttentionLM(ModelConfig(cutoffs=(4, 10)), vocab_size=10, end_id=9)


@pytest.mark.parametrize("cutoffs", [(), (2,), (2, 4)])
def test_a_head_without_rows_predicts_how_frequent_tokens_are(cutoffs: tuple[int, ...]) -> None:
    counts = torch.tensor([50, 30, 12, 8, 0, 0])
    bias = expected(counts, cutoffs)
    assert bias.shape == (6 + len(cutoffs),)
    classes = torch.zeros(len(cutoffs), 3) if cutoffs else None
    options: dict[str, Any] = {"classes": classes, "cutoffs": cutoffs, "bias": bias}
    logs = scores(torch.randn(1, 3), torch.zeros(6, 3), **options).log_softmax(-1)
    # What never occurs counts half.
    shares = torch.tensor([50, 30, 12, 8, 0.5, 0.5]) / 101
    torch.testing.assert_close(logs.exp()[0], shares, atol=1e-6, rtol=1e-5)
    targets = torch.arange(6)
    nll = target_nll(torch.randn(6, 3), targets, torch.zeros(6, 3), **options)
    torch.testing.assert_close(nll, -shares.log(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cutoffs", [(), (2, 4)])
def test_the_bias_moves_scores_and_likelihoods_alike(cutoffs: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    features, weight = torch.randn(9, 3), torch.randn(6, 3)
    classes = torch.randn(len(cutoffs), 3) if cutoffs else None
    options: dict[str, Any] = {"classes": classes, "cutoffs": cutoffs}
    bias = torch.randn(6 + len(cutoffs))
    logs = scores(features, weight, bias=bias, **options).log_softmax(-1)
    targets = torch.randint(0, 6, (9,))
    nll = target_nll(features, targets, weight, bias=bias, **options)
    torch.testing.assert_close(nll, -logs.gather(1, targets[:, None])[:, 0], atol=1e-5, rtol=1e-5)
    plain = scores(features, weight, **options)
    assert torch.equal(plain, scores(features, weight, bias=torch.zeros_like(bias), **options))
