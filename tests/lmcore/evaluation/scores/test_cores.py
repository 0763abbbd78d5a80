"""Cores that read lanes of their own: the same scores, one end for all, nothing left changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from lmcore.evaluation.memory.regurgitation import free_samples
from lmcore.evaluation.scores.cores import cores_for, work_apart
from lmcore.evaluation.scores.scoring import score_each
from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def _model() -> RecurrentAttentionLM:
    torch.manual_seed(0)
    config = ModelConfig(pattern="LA", d_model=16, num_heads=1, head_dim=8, window=8)
    model = RecurrentAttentionLM(config, vocab_size=50, end_id=0).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model


def _texts() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(1, 50, size=size) for size in (300, 40, 1, 170, 0, 90, 33, 210, 7)]


@pytest.mark.usefixtures("two_threads")
def test_two_cores_score_as_one_does() -> None:
    model, texts = _model(), _texts()
    assert cores_for(model, lanes=9) == 2
    assert cores_for(model, lanes=1) == 1
    apart = score_each(model, texts, chunk_tokens=16)
    alone = [score_each(model, [text])[0] for text in texts]
    for one, other in zip(apart, alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert torch.get_num_threads() == 2
    again = score_each(model, texts, chunk_tokens=16)
    assert all((one == other).all() for one, other in zip(apart, again, strict=True))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("workers", [1, 3])
def test_every_worker_has_one_thread_and_all_are_done(workers: int) -> None:
    used: list[int] = []
    shares: list[float] = []

    def worker() -> Iterator[int]:
        used.append(torch.get_num_threads())
        assert torch.is_inference_mode_enabled()
        yield 5

    readers = [worker() for _ in range(workers)]
    work_apart(readers, model=_model(), of=5 * workers, on_done=shares.append)
    assert used == [1] * workers
    assert shares[-1] == 1.0
    assert torch.get_num_threads() == 2


def test_samples_do_not_depend_on_the_number_of_cores(two_threads: None) -> None:
    model, drawn = _model(), {}
    for threads in (2, 1):
        torch.set_num_threads(threads)
        drawn[threads] = free_samples(model, count=300, num_tokens=8, seed=3)
    assert (drawn[1] == drawn[2]).all()
    assert (drawn[1][:44] != drawn[1][256:]).any(), "both groups drew the same"


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("where", ["a reader", "the caller"])
def test_an_error_ends_all_readers(where: str) -> None:
    read, before = [], threading.active_count()

    def endless() -> Iterator[int]:
        while True:
            read.append(1)
            yield 1

    def broken() -> Iterator[int]:
        yield 1
        if where == "a reader":
            raise ValueError("a damaged lane")
        yield from endless()

    def told(share: float) -> None:
        assert share >= 0
        if where == "the caller":
            raise ValueError("a stop")

    with pytest.raises(ValueError, match="a damaged lane" if where == "a reader" else "a stop"):
        work_apart([endless(), broken()], model=_model(), of=2, on_done=told)
    assert read
    assert threading.active_count() == before, "a reader went on"
    assert torch.get_num_threads() == 2
    assert not torch.is_inference_mode_enabled()
