"""From logits to a token: the filters one by one, and the draw."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.errors import ConfigError
from lmcore.model.sampling import Choice, GenerationConfig, draw, penalised, shortlists

LOG = torch.tensor([0.5, 0.25, 0.15, 0.1]).log()


def probabilities(logits: torch.Tensor, **settings: Any) -> dict[int, float]:
    """Probability of each token that can be drawn."""
    config = GenerationConfig(**{"top_p": 1.0, "temperature": 1.0, **settings})
    (shortlist,) = shortlists(logits[None], [config])
    count = int(shortlist.kept[0])
    ids = [int(shortlist.tokens(np.array([place]))[0]) for place in range(count)]
    sums = shortlist.sums[0, :count]
    parts = np.diff(sums, prepend=0.0)
    return dict(zip(ids, (parts / sums[-1]).tolist(), strict=True))


def test_filters_by_hand() -> None:
    def kept(**settings: Any) -> list[int]:
        return sorted(probabilities(LOG, **settings))

    assert kept() == [0, 1, 2, 3]
    assert kept(top_k=2) == [0, 1]
    assert kept(top_p=0.6) == [0, 1]
    assert kept(top_p=1e-9) == [0]
    assert kept(top_k=99) == [0, 1, 2, 3]
    # Of the two likeliest the first has two thirds.
    assert kept(top_k=2, top_p=0.6) == [0]
    assert probabilities(LOG, top_k=2) == pytest.approx({0: 2 / 3, 1: 1 / 3})


def test_temperature_and_penalty_by_hand() -> None:
    expected = dict(enumerate(x / 0.345 for x in (0.25, 0.0625, 0.0225, 0.01)))
    assert probabilities(LOG, temperature=0.5) == pytest.approx(expected)
    config = GenerationConfig(repetition_penalty=2.0)
    logits = torch.tensor([[3.0, -1.0, 2.0], [3.0, -1.0, 2.0]])
    choices = [Choice(config=config, recent=[0, 1]), Choice(config=config)]
    assert penalised(logits, choices).tolist() == [[1.5, -2.0, 2.0], [3.0, -1.0, 2.0]]


@pytest.mark.parametrize("settings", [{}, {"top_k": 4}, {"top_p": 0.9999}])
def test_a_chance_draws_the_token_whose_part_holds_it(settings: dict[str, Any]) -> None:
    config = GenerationConfig(**{"temperature": 1.0, "top_p": 1.0, **settings})
    chances = [(i + 0.5) / 2000 for i in range(2000)]
    drawn = draw(LOG.expand(2000, 4), [Choice(config=config, chance=c) for c in chances])
    assert [drawn.count(token) for token in range(4)] == [1000, 500, 300, 200]


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=40),
    st.floats(0.0, 1.0, exclude_max=True),
    st.floats(0.05, 1.0),
    st.integers(0, 8),
    st.sampled_from([0, 5000]),
)
@settings(deadline=None, max_examples=80)
def test_the_token_is_that_of_a_list_in_order(
    scores: list[int], chance: float, top_p: float, top_k: int, others: int
) -> None:
    # Many are equally likely; behind them stand more tokens than are ordered at first.
    logits = torch.tensor([float(score) for score in scores] + [-100.0] * others)
    config = GenerationConfig(temperature=1.0, top_p=top_p, top_k=top_k)
    probability = logits.double().softmax(0).tolist()
    order = sorted(range(len(logits)), key=lambda token: -probability[token])
    if 0 < top_k < len(order):
        bound = probability[order[top_k - 1]]
        order = [token for token in order if probability[token] >= bound]
    kept, total = [], sum(probability[token] for token in order)
    for token in order:
        kept.append(token)
        if sum(probability[one] for one in kept) >= top_p * total:
            break
    if top_p == 1.0 and not 0 < top_k < len(logits):
        kept = list(range(len(logits)))
    wanted, sums = chance, np.cumsum([probability[token] for token in kept])
    sums /= sums[-1]
    (drawn,) = draw(logits[None], [Choice(config=config, chance=chance)])
    # Where sums round to a bound, the neighbour is as right.
    near = {int(np.searchsorted(sums, wanted + e, side="right")) for e in (-1e-9, 0.0, 1e-9)}
    close = abs(top_p * total - np.cumsum([probability[t] for t in order])).min() < 1e-9
    assert close or drawn in {kept[min(place, len(kept) - 1)] for place in near}


def test_the_ends_of_the_chance_are_the_ends_of_the_list() -> None:
    config = GenerationConfig(temperature=1.0, top_p=1.0)
    last = [Choice(config=config, chance=math.nextafter(1.0, 0.0))]
    # What cannot be drawn is not, at either end.
    logits = torch.tensor([[-torch.inf, 1.0, -torch.inf]])
    assert draw(logits, [Choice(config=config, chance=0.0)]) == [1]
    assert draw(logits, last) == [1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", -1),
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", 1e-320),
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
    assert sorted(probabilities(torch.tensor([2.0, 1.0, 1.0, 0.0]), top_k=2)) == [0, 1, 2]
    # Also where more of them are equally likely than are ordered at first.
    assert len(probabilities(torch.zeros(3000), top_k=2)) == 3000


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=8), st.floats(0.01, 1.0))
@settings(deadline=None, max_examples=60)
def test_top_p_keeps_the_fewest_likeliest_tokens_that_reach_it(
    values: list[float], top_p: float
) -> None:
    logits = torch.tensor(values, dtype=torch.float64)
    kept = torch.zeros(len(values), dtype=torch.bool)
    kept[list(probabilities(logits, top_p=top_p))] = True
    probability = logits.softmax(0)
    assert float(probability[kept].sum()) >= top_p - 1e-9
    # Without the least likely of them it would not be reached; the first always stays.
    without = float(probability[kept].sum() - probability[kept].min())
    assert kept.sum() == 1 or without < top_p + 1e-9
    if not kept.all():
        assert probability[kept].min() >= probability[~kept].max()


def test_a_nucleus_beyond_the_shortlist_is_found_whole() -> None:
    flat = torch.zeros(5000)
    assert len(probabilities(flat, top_p=0.4999)) == 2500
    assert len(probabilities(flat, top_p=0.4999, top_k=4000)) == 2500
    assert len(probabilities(torch.arange(5000.0) / 5000, top_k=3000)) == 3000


@given(st.integers(0, 2**32), st.integers(2, 33), st.sampled_from([5, 300, 2000]))
@settings(deadline=None, max_examples=40)
def test_what_is_drawn_does_not_depend_on_who_is_drawn_for_beside(
    seed: int, lanes: int, vocab_size: int
) -> None:
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(lanes, vocab_size, generator=rng) * 4
    ways: list[dict[str, Any]] = [
        {},
        {"temperature": 0.0},
        {"top_p": 0.3},
        {"top_p": 1.0},
        {"top_k": 3},
        {"top_k": 1500, "top_p": 0.999, "temperature": 3.0},
        {"repetition_penalty": 1.3},
    ]
    choices = [
        Choice(
            config=GenerationConfig(**ways[row % len(ways)]),
            chance=torch.rand((), generator=rng).item(),
            recent=[0, 3],
        )
        for row in range(lanes)
    ]
    together = draw(logits, choices)
    assert together == [draw(logits[i : i + 1], choices[i : i + 1])[0] for i in range(lanes)]


def test_the_likeliest_token_is_taken_after_the_penalty() -> None:
    config = GenerationConfig(temperature=0.0, repetition_penalty=2.0)
    logits = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    assert draw(logits, [Choice(config=config), Choice(config=config, recent=[0])]) == [0, 1]
    assert logits.tolist() == [[3.0, 2.0, 1.0]] * 2
