"""How an engine calls its model: traced or not, the same to the last bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from language_models import KINDS, language_model

from lmcore.engine.calls import Calls
from lmcore.model.config import ModelConfig
from lmcore.model.factory import new_model
from lmcore.model.generation import inference
from lmcore.model.language_model import LanguageModel

SIZES = (1, 4, 8)
END = 0


def made(seed: int = 0, **shape: Any) -> LanguageModel:
    """Large enough for its matrices to be packed, unless another shape is asked for."""
    config = ModelConfig.model_validate(
        {"pattern": "LA", "d_model": 128, "num_heads": 2, "head_dim": 32, "window": 16, **shape}
    )
    model = new_model(config, vocab_size=300, end_id=END, seed=seed, device="cpu")
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1, generator=rng)
    model.eval().settle()
    return model


SHAPES: dict[str, dict[str, Any]] = {
    "packed": {},
    "small": {"d_model": 32, "head_dim": 8, "embedding_dim": 16},
    "two of each": {"pattern": "LALA"},
    "linear recurrence": {"pattern": "LRA"},
    "pointer": {"pointer": True},
    "attention alone": {"pattern": "AA"},
}


def same(one: Any, other: Any) -> bool:
    (logits, state), (others, after) = one, other
    pairs = zip([logits, *state.tensors()], [others, *after.tensors()], strict=True)
    return all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_document_is_read_as_the_model_reads_it(shape: str) -> None:
    model = made(**SHAPES[shape])
    rng = torch.Generator().manual_seed(1)
    with inference(model):
        calls = Calls(model, sizes=SIZES)
        for length in (1, 2, 3, 15, 16, 17, 100, calls.chunk_tokens, calls.chunk_tokens + 1):
            begin = torch.randint(1, 300, (1, length), generator=rng)
            begin[:, 0] = END
            more = torch.randint(1, 300, (1, length), generator=rng)
            inner = more.clone()
            inner[:, length // 2] = END
            read = calls.chunk(begin, None)
            features, state = model.features(begin)
            assert same(read, (model.logits(features.last()), state)), length
            for chunk in (more, inner):
                features, after = model.features(chunk, state)
                assert same(calls.chunk(chunk, state), (model.logits(features.last()), after))


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_are_stepped_as_the_model_steps_them(shape: str) -> None:
    model = made(**SHAPES[shape])
    rng = torch.Generator().manual_seed(2)
    with inference(model):
        calls = Calls(model, sizes=SIZES)
        text = torch.randint(1, 300, (1, 20), generator=rng)
        _, state = calls.chunk(text, None)
        for size in SIZES:
            rows = calls.stepping(state).select([0] * size)
            expected = model.stepping(state).select([0] * size)
            for _ in range(20):  # more than the window
                tokens = torch.randint(1, 300, (size, 1), generator=rng)
                found = calls.step(tokens, rows)
                logits, expected = model(tokens, expected)
                assert same(found, (logits[:, -1], expected))
                rows = found[1]


def test_the_default_model_is_traced_whole() -> None:
    model = made()
    with inference(model):
        calls = Calls(model, sizes=SIZES)
        assert calls.chunk_tokens == 128
        state = calls.chunk(torch.tensor([[END, 5, 7]]), None)[1]

        def not_asked(*given: Any, **options: Any) -> Any:
            raise AssertionError("the model itself was asked")

        model.features = not_asked  # type: ignore[method-assign]
        calls.chunk(torch.tensor([[END, *range(1, 61)]]), None)
        calls.chunk(torch.tensor([[8, 9]]), state)
        calls.step(torch.tensor([[4]] * 8), calls.stepping(state).select([0] * 8))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "scratch"])
def test_a_model_that_waits_for_its_weights_is_asked_itself(kind: str) -> None:
    model = language_model(kind, end_id=END)
    with inference(model):
        calls = Calls(model, sizes=(1,))
        tokens = torch.tensor([[END, 5, 7]])
        features, state = model.features(tokens)
        logits, after = calls.chunk(tokens, None)
        assert calls.chunk_tokens == 256
        assert torch.equal(logits, model.logits(features.last()))
        assert after.num_lanes == state.num_lanes == 1


@pytest.fixture(scope="module")
def traced() -> tuple[LanguageModel, Calls]:
    model = made(seed=3)
    with inference(model):
        return model, Calls(model, sizes=SIZES)


@given(length=st.integers(2, 128), seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=25)
def test_chunks_of_any_length_are_the_models(
    traced: tuple[LanguageModel, Calls], length: int, seed: int
) -> None:
    model, calls = traced
    rng = torch.Generator().manual_seed(seed)
    text = torch.randint(1, 300, (1, length), generator=rng)
    with inference(model):
        features, state = model.features(text)
        assert same(calls.chunk(text, None), (model.logits(features.last()), state))
