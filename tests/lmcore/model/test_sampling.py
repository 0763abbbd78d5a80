"""From logits to a token: the filters one by one, and the draw."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.errors import ConfigError
from lmcore.model.sampling import GenerationConfig, draw, filter_logits, penalise

LOG = torch.tensor([0.5, 0.25, 0.15, 0.1]).log()


def test_filters_by_hand() -> None:
    def kept(**settings: Any) -> list[int]:
        result = filter_logits(LOG, GenerationConfig(**{"top_p": 1.0, **settings}))
        return torch.isfinite(result).nonzero().ravel().tolist()

    assert kept() == [0, 1, 2, 3]
    assert kept(top_k=2) == [0, 1]
    assert kept(top_p=0.6, temperature=1.0) == [0, 1]
    assert kept(top_p=1e-9) == [0]
    assert kept(top_k=99) == [0, 1, 2, 3]


def test_temperature_and_penalty_by_hand() -> None:
    config = GenerationConfig(temperature=0.5, top_p=1.0)
    assert torch.allclose(
        filter_logits(LOG, config).softmax(0),
        torch.tensor([0.25, 0.0625, 0.0225, 0.01]) / 0.345,
    )
    config = GenerationConfig(temperature=1.0, top_p=1.0, repetition_penalty=2.0)
    logits = torch.tensor([3.0, -1.0, 2.0])
    assert filter_logits(logits, config, recent=torch.tensor([0, 1])).tolist() == [1.5, -2.0, 2.0]


def test_draws_follow_the_distribution() -> None:
    rng = torch.Generator().manual_seed(0)
    config = GenerationConfig(temperature=1.0, top_p=1.0)
    counts = torch.zeros(4)
    for _ in range(2000):
        counts[draw(LOG, config, rng=rng)] += 1
    assert (counts / 2000 - LOG.exp()).abs().max() < 0.04
    assert draw(LOG, GenerationConfig(temperature=0.0), rng=rng) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", -1),
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("top_p", 0.0),
        ("top_p", 1.5),
        ("top_k", -2),
        ("repetition_penalty", 0.0),
        ("stop", ("",)),
        ("seed", -1),
    ],
)
def test_values_out_of_range_are_named(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field):
        GenerationConfig(**{field: value})  # type: ignore[arg-type]


def test_equally_likely_tokens_at_the_bound_of_top_k_all_stay() -> None:
    result = filter_logits(torch.tensor([2.0, 1.0, 1.0, 0.0]), GenerationConfig(top_k=2, top_p=1.0))
    assert torch.isfinite(result).tolist() == [True, True, True, False]


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=8), st.floats(0.01, 1.0))
@settings(deadline=None, max_examples=60)
def test_top_p_keeps_the_fewest_likeliest_tokens_that_reach_it(
    values: list[float], top_p: float
) -> None:
    logits = torch.tensor(values, dtype=torch.float64)
    kept = torch.isfinite(filter_logits(logits, GenerationConfig(temperature=1.0, top_p=top_p)))
    probability = logits.softmax(0)
    assert float(probability[kept].sum()) >= top_p - 1e-9
    # Without the least likely of them it would not be reached; the first always stays.
    without = float(probability[kept].sum() - probability[kept].min())
    assert kept.sum() == 1 or without < top_p + 1e-9
    if not kept.all():
        assert probability[kept].min() >= probability[~kept].max()


def test_recent_tokens_become_less_likely_whatever_their_sign() -> None:
    logits = torch.tensor([4.0, -1.0, 0.0, 2.0])
    assert penalise(logits, 2.0, recent=torch.tensor([0, 1, 2])).tolist() == [2.0, -2.0, 0.0, 2.0]
    for penalty, recent in ((1.0, torch.tensor([0])), (2.0, None), (2.0, torch.tensor([]).long())):
        assert torch.equal(penalise(logits, penalty, recent=recent), logits)
    assert logits.tolist() == [4.0, -1.0, 0.0, 2.0]


def test_the_likeliest_token_is_taken_after_the_penalty() -> None:
    rng = torch.Generator().manual_seed(0)
    config = GenerationConfig(temperature=0.0, repetition_penalty=2.0)
    logits = torch.tensor([3.0, 2.0, 1.0])
    assert draw(logits, config, rng=rng) == 0
    assert draw(logits, config, rng=rng, recent=torch.tensor([0])) == 1


def test_what_the_filters_took_away_is_never_drawn() -> None:
    rng = torch.Generator().manual_seed(0)
    config = GenerationConfig(temperature=5.0, top_k=2, top_p=1.0)
    assert {draw(LOG, config, rng=rng) for _ in range(200)} == {0, 1}
