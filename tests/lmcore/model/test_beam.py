import math
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from language_models import KINDS, language_model

from lmcore.errors import ConfigError
from lmcore.model.beam import BeamConfig, Hypothesis, beam_search, beam_search_from
from lmcore.model.config import ModelConfig
from lmcore.model.generation import inference, prefill
from lmcore.model.language_model import Features
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.model.recurrent.states import LayerStates
from lmcore.model.state import State

END = 4


def make_model(seed: int, *, sharpness: float = 1.0) -> RecurrentAttentionLM:
    """A model of four tokens and an end token, with random weights everywhere."""
    config = ModelConfig(d_model=8, embedding_dim=4, num_heads=1, head_dim=4, window=3)
    torch.manual_seed(seed)
    model = RecurrentAttentionLM(config, END + 1, END)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=sharpness)
    return model.eval()


class Chain(RecurrentAttentionLM):
    """A Markov chain with given probabilities of the next token, rows by the last token."""

    def __init__(self, table: list[list[float]]) -> None:
        config = ModelConfig(pattern="A", d_model=8, num_heads=1, head_dim=4, window=1)
        super().__init__(config, len(table), len(table) - 1)
        self.table = torch.tensor(table).log()
        self.shapes: list[tuple[int, ...]] = []

    def features(self, tokens: torch.Tensor, state: Any = None, *, rng: Any = None) -> Any:
        self.shapes.append(tuple(tokens.shape))
        return Features(self.table[tokens]), super().features(tokens, state, rng=rng)[1]

    def logits(self, features: Features) -> torch.Tensor:
        return features.vectors


def enumerate_all(
    model: RecurrentAttentionLM, prompt: list[int], *, max_tokens: int, alpha: float
) -> list[tuple[float, float, tuple[int, ...]]]:
    """Every continuation as (score, log-probability, tokens), best first."""
    every = list(product(range(END + 1), repeat=max_tokens))
    with torch.no_grad():
        logits, _ = model(torch.tensor([[END, *prompt, *tokens] for tokens in every]))
    steps = logits[:, len(prompt) :].double().log_softmax(-1)
    found = {}
    for row, tokens in enumerate(every):
        drawn = tokens[: tokens.index(END) + 1] if END in tokens else tokens
        total = sum(float(steps[row, i, token]) for i, token in enumerate(drawn))
        kept = tuple(token for token in drawn if token != END)
        found[drawn] = (total / len(drawn) ** alpha, total, kept)
    return sorted(found.values(), reverse=True)


@pytest.mark.parametrize(("seed", "alpha"), [(0, 0.0), (1, 1.0), (2, 0.6)])
def test_a_wide_beam_finds_what_enumeration_finds(seed: int, alpha: float) -> None:
    model = make_model(seed)
    prompt = [seed, 3]
    config = BeamConfig(beam_size=256, max_tokens=4, length_penalty=alpha, num_return=20)
    found = beam_search(model, [prompt], config)[0]
    expected = enumerate_all(model, prompt, max_tokens=4, alpha=alpha)[:20]
    assert [h.tokens for h in found] == [tokens for _, _, tokens in expected]
    for hypothesis, (score, total, tokens) in zip(found, expected, strict=True):
        assert hypothesis.score == pytest.approx(score, abs=1e-4)
        assert hypothesis.log_probability == pytest.approx(total, abs=1e-4)
        assert hypothesis.finish == ("length" if len(tokens) == 4 else "end")


@given(seed=st.integers(0, 200), prompt=st.lists(st.integers(0, 3), max_size=5))
@settings(deadline=None, max_examples=25, derandomize=True)  # float32 may break near-ties
def test_a_beam_of_one_is_greedy(seed: int, prompt: list[int]) -> None:
    model = make_model(seed, sharpness=0.7)
    ids, total = list(prompt), 0.0
    with torch.no_grad():
        for _ in range(12):
            scores = model(torch.tensor([[END, *ids]]))[0][0, -1].double().log_softmax(-1)
            token = int(scores.argmax())
            total += float(scores[token])
            if token == END:
                break
            ids.append(token)
    found = beam_search(model, [prompt], BeamConfig(beam_size=1, max_tokens=12))[0]
    assert [h.tokens for h in found] == [tuple(ids[len(prompt) :])]
    assert found[0].log_probability == pytest.approx(total, abs=1e-3)


@given(
    seed=st.integers(0, 200),
    prompts=st.lists(st.lists(st.integers(0, 3), max_size=4), min_size=1, max_size=5),
    beam_size=st.integers(1, 6),
    ngram=st.integers(0, 3),
    alpha=st.sampled_from([0.0, 0.7, 1.0]),
)
@settings(deadline=None, max_examples=25, derandomize=True)  # float32 may break near-ties
def test_a_batch_equals_its_prompts_one_by_one(
    seed: int, prompts: list[list[int]], beam_size: int, ngram: int, alpha: float
) -> None:
    model = make_model(seed)
    config = BeamConfig(
        beam_size=beam_size,
        max_tokens=8,
        length_penalty=alpha,
        no_repeat_ngram_size=ngram,
        num_return=beam_size,
    )
    together = beam_search(model, prompts, config)
    for prompt, found in zip(prompts, together, strict=True):
        alone = beam_search(model, [prompt], config)[0]
        assert [h.tokens for h in found] == [h.tokens for h in alone]
        assert [h.score for h in found] == pytest.approx([h.score for h in alone], abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_finds_for_many_prompts_what_it_finds_for_each(kind: str) -> None:
    model = language_model(kind)
    prompts = [[1, 2, 3], [], [4] * 20, [5, 6]]
    config = BeamConfig(beam_size=3, max_tokens=20, num_return=2)
    for prompt, together in zip(prompts, beam_search(model, prompts, config), strict=True):
        alone = beam_search(model, [prompt], config)[0]
        assert [h.tokens for h in together] == [h.tokens for h in alone]
        # What a hypothesis says of itself is what the model says of it, read in one go.
        for found in together:
            read = [model.end_id, *prompt, *found.tokens]
            told = [*found.tokens, model.end_id] if found.finish == "end" else [*found.tokens]
            with torch.no_grad():
                log_p = model(torch.tensor([read]))[0][0].log_softmax(-1)[len(prompt) :]
            total = sum(float(log_p[place, token]) for place, token in enumerate(told))
            assert found.log_probability == pytest.approx(total, abs=1e-3)


@given(
    seed=st.integers(0, 200),
    ngram=st.integers(1, 3),
    min_tokens=st.integers(0, 10),
    beam_size=st.integers(1, 5),
)
@settings(deadline=None, max_examples=40)
def test_no_ngram_repeats_and_short_answers_have_no_other_way(
    seed: int, ngram: int, min_tokens: int, beam_size: int
) -> None:
    config = BeamConfig(
        beam_size=beam_size,
        max_tokens=14,
        min_tokens=min_tokens,
        no_repeat_ngram_size=ngram,
        num_return=beam_size,
    )
    found = beam_search(make_model(seed, sharpness=2.0), [[0, 1, 0, 1]], config)[0]
    assert found
    assert found == sorted(found, key=lambda h: h.score, reverse=True)
    for hypothesis in found:
        tokens = hypothesis.tokens
        grams = [tokens[i : i + ngram] for i in range(len(tokens) - ngram + 1)]
        assert len(grams) == len(set(grams))
        assert hypothesis.log_probability <= 0
        if len(tokens) < min_tokens:
            tried = [(*tokens[len(tokens) - ngram + 1 :], token) for token in range(END)]
            assert set(tried) <= set(grams)


def test_length_normalisation_by_hand() -> None:
    # p("") = 0.45; p("a") = 0.55 * 0.8 = 0.44, with two tokens drawn.
    model = Chain([[0.2, 0.8], [0.55, 0.45]])
    short = Hypothesis(
        tokens=(), log_probability=math.log(0.45), score=math.log(0.45), finish="end"
    )
    longer = Hypothesis(
        tokens=(0,), log_probability=math.log(0.44), score=math.log(0.44) / 2, finish="end"
    )
    for alpha, expected in ((0.0, short), (1.0, longer)):
        config = BeamConfig(beam_size=2, max_tokens=2, length_penalty=alpha)
        found = beam_search(model, [[]], config)[0][0]
        assert (found.tokens, found.finish) == (expected.tokens, expected.finish)
        assert found.log_probability == pytest.approx(expected.log_probability)
        assert found.score == pytest.approx(expected.score)


def test_a_second_hypothesis_escapes_a_greedy_mistake() -> None:
    # Greedy takes a (0.5), after which nothing is likely; b then end is 0.4 * 0.9.
    model = Chain([[0.25, 0.25, 0.5], [0.05, 0.05, 0.9], [0.5, 0.4, 0.1]])
    one, two = (
        beam_search(model, [[]], BeamConfig(beam_size=size, length_penalty=0.0))[0][0]
        for size in (1, 2)
    )
    assert (one.tokens, two.tokens) == ((0,), (1,))
    assert two.log_probability == pytest.approx(math.log(0.36))


def test_it_stops_when_nothing_better_can_come_and_not_before() -> None:
    ends = Chain([[0.9, 0.1], [0.02, 0.98]])
    assert beam_search(ends, [[]], BeamConfig(length_penalty=0.0))[0][0].tokens == ()
    assert len(ends.shapes) == 1
    # The mean for a token goes on rising with each a, so an early end must not stop the search.
    goes_on = Chain([[0.999, 0.001], [0.4, 0.6]])
    config = BeamConfig(length_penalty=1.0, max_tokens=30)
    assert beam_search(goes_on, [[]], config)[0][0].tokens == (0,) * 30


def test_lanes_are_prompts_times_beams_and_shrink_with_finished_prompts() -> None:
    # After b everything ends at once; after a nothing does.
    model = Chain([[0.98, 0.01, 0.01], [0.001, 0.001, 0.998], [0.4, 0.3, 0.3]])
    config = BeamConfig(beam_size=3, max_tokens=20, length_penalty=0.0)
    found = beam_search(model, [[0], [1], [0, 0]], config)
    assert found[1][0].tokens == ()
    lanes = [shape[0] for shape in model.shapes if shape[1] == 1]
    assert max(lanes) == 6
    assert len(found[0][0].tokens) == 20


@pytest.mark.parametrize("seed", [0, 11])
def test_what_is_found_is_that_of_a_search_that_copies_all_that_is_remembered(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A window that goes round several times, and prompts that end one after the other.
    model = make_model(seed, sharpness=0.7)
    given = [[i % 4, (3 * i) % 4, 1][: 1 + i % 3] for i in range(5)]
    config = BeamConfig(max_tokens=40, length_penalty=0.0, num_return=4)
    found = beam_search(model, given, config)
    monkeypatch.setattr(LayerStates, "regroup", State.regroup)
    assert beam_search(model, given, config) == found
    assert len({len(best[0].tokens) for best in found}) > 1


def test_from_a_given_state_and_with_another_end_token() -> None:
    model = make_model(3)
    with inference(model):
        logits, state = prefill(model, [[1, 2], [3]])
    config = BeamConfig(max_tokens=6, num_return=2)
    assert beam_search_from(model, logits, state, config) == beam_search(
        model, [[1, 2], [3]], config
    )
    for hypotheses in beam_search_from(model, logits, state, config, end_id=0):
        assert all(0 not in hypothesis.tokens for hypothesis in hypotheses)
    assert beam_search(model, [], config) == []


def test_asking_for_more_keeps_the_best_and_the_callers_state() -> None:
    model = make_model(5)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    few, many = (
        beam_search(model, [[2]], BeamConfig(beam_size=5, max_tokens=9, num_return=n))[0]
        for n in (1, 5)
    )
    assert few == many[:1]
    assert len(many) == 5
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("beam_size", 0),
        ("max_tokens", 0),
        ("min_tokens", 201),
        ("length_penalty", -0.5),
        ("length_penalty", math.nan),
        ("no_repeat_ngram_size", -1),
        ("num_return", 5),
    ],
)
def test_values_out_of_range_are_named(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field):
        BeamConfig(**{field: value})  # type: ignore[arg-type]
