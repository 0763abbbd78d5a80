from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.model.recurrent.states import PointerState
from lmcore.model.state import State

VOCAB = 11
END = 10
CLOSE = {"atol": 2e-5, "rtol": 1e-4}


def make_model(
    pattern: str = "LA",
    *,
    window: int = 5,
    tied: bool = False,
    seed: int = 0,
    d_model: int = 16,
    pointer: bool = False,
) -> RecurrentAttentionLM:
    """A small model whose zero-initialised parts are random too, so that they matter."""
    config = ModelConfig(
        pattern=pattern,
        d_model=d_model,
        embedding_dim=8,
        num_heads=2,
        head_dim=4,
        window=window,
        tie_embeddings=tied,
        pointer=pointer,
    )
    torch.manual_seed(seed)
    model = RecurrentAttentionLM(config, VOCAB, END)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.3)
    return model.eval()


def random_tokens(shape: tuple[int, int], *, seed: int, ends: float) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, END, shape, generator=rng)
    return torch.where(torch.rand(shape, generator=rng) < ends, END, tokens)


def states_equal(first: State, second: State) -> bool:
    """Equal where it matters: what stands in slots that are not valid is never read."""
    for a, b in zip(first.layers, second.layers, strict=True):
        if hasattr(a, "valid"):
            if not torch.equal(a.valid, b.valid):
                return False
            mask = a.valid[:, None, :, None]
            if isinstance(a, PointerState):
                pairs = [(x.keys * mask[:, 0], x.tokens * x.valid, x.before) for x in (a, b)]
                pairs = list(zip(*pairs, strict=True))
            else:
                pairs = [(a.keys * mask, b.keys * mask), (a.values * mask, b.values * mask)]
        else:
            pairs = list(zip(a, b, strict=True))
        if not all(torch.allclose(x, y, **CLOSE) for x, y in pairs):
            return False
    return True


patterns = st.text(alphabet="LRA", min_size=1, max_size=4)
Case = tuple[RecurrentAttentionLM, torch.Tensor]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A small model of any pattern, and tokens [B, T] that it reads."""
    seed = draw(st.integers(0, 1000), label="seed")
    model = make_model(
        draw(patterns, label="pattern"),
        window=draw(st.integers(1, 30), label="window"),
        seed=seed,
        pointer=draw(st.booleans(), label="pointer"),
    )
    shape = draw(st.tuples(st.integers(1, 4), st.integers(2, 24)), label="lanes and length")
    ends = draw(st.sampled_from([0.0, 0.1, 0.5]), label="share of ends")
    return model, random_tokens(shape, seed=seed, ends=ends)


@given(case=cases(), data=st.data())
@settings(deadline=None, max_examples=40)
@torch.no_grad()
def test_reading_in_chunks_equals_reading_whole(case: Case, data: st.DataObject) -> None:
    model, tokens = case
    whole, whole_state = model(tokens)
    parts = []
    state = None
    start = 0
    while start < tokens.shape[1]:
        size = data.draw(st.integers(1, tokens.shape[1] - start), label="chunk")
        logits, state = model(tokens[:, start : start + size], state)
        parts.append(logits)
        start += size
    assert torch.allclose(torch.cat(parts, 1), whole, **CLOSE)
    assert state is not None
    assert states_equal(state, whole_state)


@given(case=cases(), prefill=st.integers(0, 10))
@settings(deadline=None, max_examples=25)
@torch.no_grad()
def test_prefill_then_step_by_step_equals_parallel(case: Case, prefill: int) -> None:
    model, tokens = case
    whole, _ = model(tokens)
    start = min(prefill, tokens.shape[1] - 1)
    state = model(tokens[:, :start])[1] if start else None
    for position in range(start, tokens.shape[1]):
        logits, state = model(tokens[:, position : position + 1], state)
        assert torch.allclose(logits[:, 0], whole[:, position], **CLOSE)


@given(case=cases())
@settings(deadline=None, max_examples=40)
@torch.no_grad()
def test_an_end_token_is_a_fresh_state(case: Case) -> None:
    model, tokens = case
    lanes, length = tokens.shape
    position = length // 2
    tokens[:, position] = END
    before = model(random_tokens((lanes, 9), seed=1, ends=0.1))[1]
    carried, carried_state = model(tokens, before)
    fresh, fresh_state = model(tokens[:, position:])
    assert torch.allclose(carried[:, position:], fresh, **CLOSE)
    assert states_equal(carried_state, fresh_state)


@torch.no_grad()
def test_nothing_before_an_end_token_changes_a_bit_after_it() -> None:
    for pattern, pointer in product(("L", "A", "LA", "ALAL"), (False, True)):
        model = make_model(pattern, pointer=pointer)
        tokens = random_tokens((2, 20), seed=3, ends=0.0)
        tokens[0, 7], tokens[1, 12] = END, END
        other = tokens.clone()
        other[0, :7] = (other[0, :7] + 1) % END
        first, second = model(tokens)[0], model(other)[0]
        assert torch.equal(first[0, 7:], second[0, 7:])
        assert torch.equal(first[1], second[1])


def test_no_gradient_crosses_an_end_token() -> None:
    model = make_model("LAL")
    tokens = torch.tensor([[1, 2, 3, END, 4, 5, 6]])
    logits, _ = model(tokens)
    logits[0, 3:].sum().backward()
    gradient = model.embedding.weight.grad
    assert gradient is not None
    assert not gradient[[1, 2, 3]].any()
    assert gradient[[4, 5, END]].abs().sum(1).all()


@given(case=cases(), data=st.data())
@settings(deadline=None, max_examples=40)
@torch.no_grad()
def test_a_changed_token_leaves_every_earlier_logit_bit_identical(
    case: Case, data: st.DataObject
) -> None:
    model, tokens = case
    position = data.draw(st.integers(1, tokens.shape[1] - 1), label="position")
    tokens[0, position] = 0
    changed = tokens.clone()
    changed[0, position] = data.draw(st.integers(1, END - 1), label="token")
    first, second = model(tokens)[0], model(changed)[0]
    assert torch.equal(first[:, :position], second[:, :position])
    assert torch.equal(first[1:], second[1:])
    assert not torch.equal(first[0, position], second[0, position])


@given(pattern=patterns, lanes=st.integers(2, 6), seed=st.integers(0, 100), pointer=st.booleans())
@settings(deadline=None, max_examples=15)
@torch.no_grad()
def test_lanes_and_padding_do_not_touch_each_other(
    pattern: str, lanes: int, seed: int, pointer: bool
) -> None:
    model = make_model(pattern, seed=seed, pointer=pointer)
    tokens = random_tokens((lanes, 15), seed=seed, ends=0.2)
    together = model(tokens)[0]
    for lane in range(lanes):
        length = 15 - lane
        alone = model(tokens[lane : lane + 1, :length])[0]
        assert torch.allclose(together[lane : lane + 1, :length], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pointer", [False, True])
@torch.no_grad()
def test_memory_is_constant_over_many_tokens_and_numbers_stay_finite(pointer: bool) -> None:
    model = make_model("LA", window=7, pointer=pointer)
    token = torch.tensor([[1]])
    state = model.fresh_state(1)
    size = state.nbytes
    with torch.inference_mode():
        for _ in range(2000):
            logits, state = model(token, state)
            token = logits[:, -1:].argmax(-1) % END
            assert state.nbytes == size
    copied = 7 * 4 * 4 + 7 * 8 + 4 * 4 + 7
    assert size == (16 + 16) * 4 + 2 * (2 * 7 * 4 * 4) + 7 + pointer * copied
    assert torch.isfinite(logits).all()


def test_a_new_model_is_uniform_over_the_vocabulary_when_untied() -> None:
    config = ModelConfig(d_model=16, head_dim=4)
    logits, _ = RecurrentAttentionLM(config, 300, 299)(torch.zeros(1, 3, dtype=torch.long))
    assert not logits.any()


def test_tied_from_1024_tokens() -> None:
    config = ModelConfig(d_model=16, head_dim=4)
    small = RecurrentAttentionLM(config, 1023, 1022)
    large = RecurrentAttentionLM(config, 1024, 1023)
    assert small.head is not None
    assert large.head is None
    assert large.head_weight is large.embedding.weight


def test_dropout_needs_a_rng_and_repeats_with_it() -> None:
    config = ModelConfig(d_model=16, head_dim=4, dropout=0.5)
    model = RecurrentAttentionLM(config, VOCAB, END)
    torch.nn.init.normal_(model.head_weight)
    tokens = random_tokens((2, 6), seed=0, ends=0.0)
    plain = model(tokens)[0]
    assert torch.equal(plain, model(tokens)[0])
    first = model(tokens, rng=torch.Generator().manual_seed(1))[0]
    assert not torch.allclose(first, plain)
    assert torch.equal(first, model(tokens, rng=torch.Generator().manual_seed(1))[0])


def test_end_id_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="end_id=11"):
        RecurrentAttentionLM(ModelConfig(), 11, 11)
