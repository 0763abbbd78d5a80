"""A model in parts is the same function with the same gradient; many ranks: test_distributed.py."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from lmcore.errors import ConfigError
from lmcore.model.config import ModelConfig
from lmcore.model.factory import new_model
from lmcore.model.language_model import LanguageModel, learnt, restore
from lmcore.training.optimizer import (
    load_optimizer_tensors,
    make_optimizer,
    optimized,
    optimizer_tensors,
)
from lmcore.training.sharding import all_whole, part_of, shard, whole
from lmcore.training.step import TrainingLoss

TOKENS = torch.tensor([[0, 5, 6, 7, 0, 8, 9, 10, 11, 12], [0, 3, 3, 4, 2, 0, 1, 2, 3, 4]])


@pytest.fixture(autouse=True)
def group() -> Iterator[None]:
    store = dist.HashStore()  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def recurrent(pattern: str, vocab_size: int) -> LanguageModel:
    config = ModelConfig(pattern=pattern, d_model=16, num_heads=2, head_dim=4, window=8)
    return new_model(config, vocab_size=vocab_size, end_id=0, seed=0, device="cpu")


def pretrained(root: Path, kind: str, adapt: str) -> LanguageModel:
    pytest.importorskip("transformers")
    from pretrained_models import VOCAB_SIZE, make_base

    from lmcore.model.config import PretrainedConfig
    from lmcore.model.pretrained import shelf

    shelf.use(root)
    config = PretrainedConfig.model_validate({"pretrained": "x", "context": 16, "adapt": adapt})
    base = make_base(root, kind).path
    return new_model(config, vocab_size=VOCAB_SIZE, end_id=0, seed=0, device="cpu", base=base)


def pairs(root: Path) -> Iterator[tuple[LanguageModel, LanguageModel]]:
    for pattern, size in (("LA", 20), ("LA", 2000), ("ALA", 20)):
        yield recurrent(pattern, size), recurrent(pattern, size)
    for kind in ("llama", "gpt2"):
        for adapt in ("lora", "full"):
            yield pretrained(root, kind, adapt), pretrained(root, kind, adapt)


def step(losses: torch.nn.Module, optimizer: torch.optim.Optimizer) -> float:
    optimizer.zero_grad()
    nats, weight, _ = losses(TOKENS[:, :-1], TOKENS[:, 1:], state=None, rng=None)
    (nats / weight).backward()
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    optimizer.step()
    return float(nats.detach() / weight)


def test_parts_are_the_same_function_learn_the_same_and_go_on(tmp_path: Path) -> None:
    for one, other in pairs(tmp_path):
        losses = TrainingLoss(one)
        parts = shard(TrainingLoss(other), ranks=1, device="cpu")
        assert shard(TrainingLoss(other), ranks=1, device="cpu") is not None  # a second loss of it
        optimizers = [make_optimizer(m, weight_decay=0.1) for m in (one, other)]
        for _ in range(2):
            assert step(parts, optimizers[1]) == pytest.approx(
                step(losses, optimizers[0]), abs=1e-6
            )
        with torch.no_grad():  # a look, as one model reads it
            state = other.fresh_state(2)
            for columns in (slice(0, 4), slice(4, 9)):
                features, state = other.features(TOKENS[:, columns], state)
                other.target_nll(features, TOKENS[:, columns])
        found, expected = all_whole(learnt(other), leads=True), learnt(one)
        assert found.keys() == expected.keys()
        for name, tensor in expected.items():
            torch.testing.assert_close(found[name], tensor, atol=1e-6, rtol=1e-4)
        # Taken back from what is whole, they go on as if nothing had been.
        moments = copy.deepcopy(all_whole(optimizer_tensors(optimizers[1]), leads=True))
        kept = copy.deepcopy(found)
        step(parts, optimizers[1])
        after = all_whole(learnt(other), leads=True)
        weights = learnt(other)
        restore(other, {name: part_of(kept[name], like=weights[name]) for name in kept})
        again = make_optimizer(other, weight_decay=0.1)
        like = optimized(again)
        own = {name: part_of(tensor, like=like[name]) for name, tensor in moments.items()}
        load_optimizer_tensors(again, own)
        step(parts, again)
        for name, tensor in all_whole(learnt(other), leads=True).items():
            assert torch.equal(tensor, after[name]), name


def test_elsewhere_nothing_is_gathered_and_plain_tensors_stay_as_they_are() -> None:
    plain = torch.ones(3)
    assert whole(plain) is plain
    assert part_of(plain, like=torch.zeros(3)) is plain
    assert all_whole({"a": plain}, leads=False) == {}


def test_a_model_that_reads_texts_apart_is_refused(tmp_path: Path) -> None:
    losses = TrainingLoss(pretrained(tmp_path, "mamba", "lora"))
    with pytest.raises(ConfigError, match=r"shard_weights needs a model that reads several texts"):
        shard(losses, ranks=1, device="cpu")
