"""A call that torch goes through by itself: whose weights it uses, and what is kept of it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from lmcore.engine import traces
from lmcore.engine.traces import Call, traced
from lmcore.model.config import ModelConfig
from lmcore.model.factory import new_model
from lmcore.model.language_model import LanguageModel
from lmcore.model.state import State

TEXT = torch.tensor([[0, 3, 4, 5]])


def made(seed: int = 0, **shape: Any) -> LanguageModel:
    config = ModelConfig.model_validate(
        {"pattern": "LA", "d_model": 16, "num_heads": 2, "head_dim": 8, "window": 8, **shape}
    )
    model = new_model(config, vocab_size=20, end_id=0, seed=seed, device="cpu").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(seed))
    return model


def reading(model: LanguageModel) -> Call:
    def call(read: Sequence[Tensor], state: State | None) -> tuple[Sequence[Tensor], State]:
        features, after = model.features(read[0], state)
        return [model.logits(features.last())], after

    return call


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(traces, "_kept", {})
    with torch.inference_mode():
        yield


def test_models_of_one_shape_share_a_trace_and_each_uses_its_own_weights() -> None:
    calls = []
    for seed in range(3):
        model = made(seed)
        found = traced("read", model, reading(model), [TEXT], None)
        assert found is not None
        calls.append((found, reading(model)))
    assert len(traces._kept) == 1
    answers = [found([TEXT], None) for found, _ in calls]
    for (logits, after), (_, call) in zip(answers, calls, strict=True):
        expected, state = call([TEXT], None)
        assert torch.equal(*logits, *expected)
        assert all(map(torch.equal, after.tensors(), state.tensors()))
    assert not torch.equal(*answers[0][0], *answers[1][0])


def test_tracing_leaves_a_model_as_it_was() -> None:
    model = made()
    before = {name: id(tensor) for name, tensor in model.named_parameters()}
    lists = [
        id(t) for m in model.modules() if isinstance(m, torch.nn.LSTM) for t in m._flat_weights
    ]
    (expected,), _ = reading(model)([TEXT], None)
    traced("read", model, reading(model), [TEXT], None)
    assert {name: id(tensor) for name, tensor in model.named_parameters()} == before
    assert lists == [
        id(t) for m in model.modules() if isinstance(m, torch.nn.LSTM) for t in m._flat_weights
    ]
    assert torch.equal(*reading(model)([TEXT], None)[0], expected)


def test_what_cannot_be_traced_is_an_error_and_leaves_the_model_as_it_was() -> None:
    model = made()
    before = [id(tensor) for tensor in model.parameters()]

    def call(read: Sequence[Tensor], state: State | None) -> Any:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        traced("read", model, call, [TEXT], None)
    assert [id(tensor) for tensor in model.parameters()] == before


def test_a_process_keeps_traces_of_so_many_shapes_and_no_more() -> None:
    models = [made(window=window) for window in range(4, 4 + traces._MOST_SHAPES + 1)]
    found = [traced("read", model, reading(model), [TEXT], None) for model in models]
    assert all(found[:-1])
    assert found[-1] is None
    # Those that are known go on.
    assert traced("read", models[0], reading(models[0]), [TEXT], None)


def test_what_is_kept_holds_no_model() -> None:
    model = made()
    found = traced("read", model, reading(model), [TEXT], None)
    kept = [weakref.ref(model), *(weakref.ref(tensor) for tensor in model.parameters())]
    del found, model
    gc.collect()
    assert not [one for one in kept if one() is not None]
    assert traces._kept
