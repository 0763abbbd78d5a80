"""The pointer: copies share one softmax with the vocabulary."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.model.config import ModelConfig
from lmcore.model.loss import sequence_loss, token_nll
from lmcore.model.recurrent.boundaries import find_boundaries
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.model.recurrent.pointer import Copies, Pointer, mixed_nll, mixed_scores

END = 30


def make_model(
    *, pointer: bool = True, d_model: int = 32, window: int = 40
) -> RecurrentAttentionLM:
    config = ModelConfig(
        pattern="LA", d_model=d_model, num_heads=2, head_dim=16, window=window, pointer=pointer
    )
    torch.manual_seed(0)
    return RecurrentAttentionLM(config, END + 1, END)


def test_shares_by_hand() -> None:
    # Vocabulary and three places weigh 4, 1, 2 and 1, of 8 in all; tokens 0, 1 and 2 are equally
    # likely in the vocabulary.  Token 1 stands at two places.
    copies = Copies(
        scores=torch.tensor([[1.0, 2.0, 1.0]]).log(),
        anew=torch.tensor([4.0]).log(),
        tokens=torch.tensor([[1, 2, 1]]),
    )
    logs = mixed_scores(torch.zeros(1, 3), copies)
    expected = torch.tensor([[4 / 3, 4 / 3 + 2, 4 / 3 + 2]]) / 8
    torch.testing.assert_close(logs.exp(), expected)
    third = torch.full((1,), math.log(3))
    for target in range(3):
        nll = mixed_nll(third, torch.tensor([target]), copies)
        torch.testing.assert_close(nll, -expected[:, target].log())


@given(seed=st.integers(0, 1000), length=st.integers(1, 12), classes=st.booleans())
@settings(deadline=None, max_examples=30)
def test_the_likelihood_of_a_target_is_that_of_the_whole_distribution(
    seed: int, length: int, classes: bool
) -> None:
    config = ModelConfig(
        d_model=16, head_dim=4, window=5, pointer=True, cutoffs=(6, 9) if classes else ()
    )
    torch.manual_seed(seed)
    model = RecurrentAttentionLM(config, END + 1, END).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
        tokens = torch.randint(0, END + 1, (3, length + 1))
        inputs, targets = tokens[:, :-1], tokens[:, 1:].contiguous()
        features, _ = model.features(inputs)
        logits = model.logits(features)
        torch.testing.assert_close(logits.exp().sum(-1), torch.ones(3, length))
        torch.testing.assert_close(
            model.target_nll(features, targets),
            token_nll(logits, targets),
            atol=1e-5,
            rtol=1e-4,
        )
        last = model.logits(features.last())
        torch.testing.assert_close(last, logits[:, -1])


def test_features_of_some_positions_say_what_those_of_all_say() -> None:
    for pointer in (True, False):
        model = make_model(pointer=pointer).eval()
        tokens = torch.randint(0, END, (2, 9), generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            features, _ = model.features(tokens)
            parts = [model.logits(features.at(start, start + 4)) for start in (0, 4, 8)]
            torch.testing.assert_close(torch.cat(parts, dim=1), model.logits(features))


def test_only_the_document_and_the_window_can_be_copied() -> None:
    pointer = Pointer(ModelConfig(d_model=8, head_dim=4, window=3))
    tokens = torch.tensor([[5, 6, END, 7, 8, 9, 10, 11]])
    copies, state = pointer(
        torch.randn(1, 8, 8),
        tokens,
        pointer.fresh_state(1, device=torch.device("cpu")),
        find_boundaries(tokens, end_id=END),
    )
    seen = copies.scores[0] > -1e6
    found = [copies.tokens[0][row].tolist() for row in seen]
    assert found[1] == [5, 6]
    assert found[2] == [END]
    assert found[4] == [END, 7, 8]
    assert found[7] == [8, 9, 10, 11]
    assert state.tokens.tolist() == [[9, 10, 11]]
    assert state.valid.all()


def test_a_place_without_company_has_a_gradient_that_is_a_number() -> None:
    model = make_model()
    loss = sequence_loss(model, torch.tensor([[END]]), torch.tensor([[3]]))
    loss.sum_nll.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_copying_begins_with_a_small_share() -> None:
    model = make_model()
    tokens = torch.randint(0, END, (4, 40))
    features, _ = model.features(tokens)
    assert features.copies is not None
    share = (features.copies.anew - features.copies.total()).exp()
    assert share.min() > 0.5
    assert share[:, -1].mean() > 0.9


@pytest.mark.slow
def test_it_repeats_words_that_it_never_wrote() -> None:
    """Random tokens, twice. The upper ten are met only when it is judged, as new names are."""

    def streams(tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        lanes, length = tokens.shape
        whole = torch.cat([torch.full((lanes, 1), END), tokens, tokens], dim=1)
        weights = torch.zeros(lanes, 2 * length)
        weights[:, length:] = 1
        return whole, weights

    def nats_of_new(*, pointer: bool) -> float:
        model = make_model(pointer=pointer)
        optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
        rng = torch.Generator().manual_seed(1)
        for _ in range(200):
            whole, weights = streams(torch.randint(0, 20, (16, 16), generator=rng))
            loss = sequence_loss(model, whole[:, :-1], whole[:, 1:], weights=weights)
            optimizer.zero_grad()
            (loss.sum_nll / loss.sum_weight).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        whole, weights = streams(torch.randint(20, END, (16, 16), generator=rng))
        with torch.no_grad():
            loss = sequence_loss(model, whole[:, :-1], whole[:, 1:], weights=weights)
        return float(loss.sum_nll / loss.sum_weight)

    with_pointer, without = nats_of_new(pointer=True), nats_of_new(pointer=False)
    print(with_pointer, without)
    assert with_pointer < math.log(30) < without
