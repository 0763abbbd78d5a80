"""One step and one look: losses, gradients and bits against what they are by hand."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from lmcore.data.tokens.batches import Batch
from lmcore.model.config import ModelConfig
from lmcore.model.factory import new_model
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.training.step import (
    TrainingLoss,
    autocast,
    backward_step,
    bits_per_byte,
    dropout_rng,
    to_tensor,
)

SHAPE = ModelConfig(pattern="LA", d_model=16, num_heads=2, head_dim=4, window=8, embedding_dim=8)
TOKENS = np.random.default_rng(0).integers(0, 10, size=(3, 13))
PIECES = np.array([1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0])


def model_of(seed: int = 0, **changes: object) -> RecurrentAttentionLM:
    shape = SHAPE.model_copy(update=changes)
    return new_model(shape, vocab_size=11, end_id=10, seed=seed, device="cpu")


def noisy_model(**changes: object) -> RecurrentAttentionLM:
    """One whose head says something, as a new model's does not."""
    model, rng = model_of(**changes), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=rng), alpha=0.2)
    return model


def batch(start: int = 0, stop: int = 12, *, fresh: bool = True, weights: object = None) -> Batch:
    return Batch(
        inputs=TOKENS[:, start:stop],
        targets=TOKENS[:, start + 1 : stop + 1],
        fresh=fresh,
        weights=None if weights is None else np.asarray(weights, dtype=np.float32),
    )


def step(model: RecurrentAttentionLM, read: Batch, **changes: object):
    options = {"precision": "float32", "gradient_clip": 1e9, "rng": None, "state": None, **changes}
    state = options.pop("state")
    return backward_step(TrainingLoss(model), read, state, **options)


def gradient(model: RecurrentAttentionLM) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_the_gradient_is_that_of_the_mean_loss_and_its_norm_is_told_before_the_clip() -> None:
    model = noisy_model()
    result = step(model, batch())
    free = gradient(model)
    loss = TrainingLoss(model)
    model.zero_grad()
    nats, weight, _ = loss(
        torch.from_numpy(TOKENS[:, :12]), torch.from_numpy(TOKENS[:, 1:]), state=None, rng=None
    )
    (nats / 36).backward()
    torch.testing.assert_close(gradient(model), free)
    assert weight.item() == 36
    assert result.loss_nats == pytest.approx(nats.item() / 36)
    assert result.grad_norm == pytest.approx(free.norm().item(), rel=1e-5)
    clipped = step(model, batch(), gradient_clip=result.grad_norm / 4)
    assert clipped.grad_norm == pytest.approx(result.grad_norm, rel=1e-5)
    torch.testing.assert_close(gradient(model), free / 4)


def test_what_has_no_weight_counts_nothing() -> None:
    weights = np.zeros((3, 12))
    weights[:, :5] = 1
    model = noisy_model()
    short = step(model, batch(stop=5))
    wanted = gradient(model)
    weighted = step(model, batch(weights=weights))
    assert weighted.loss_nats == pytest.approx(short.loss_nats, rel=1e-5)
    torch.testing.assert_close(gradient(model), wanted)


@pytest.mark.parametrize("lanes", [1, 2, 3, 7])
def test_a_step_in_parts_is_that_of_the_whole(lanes: int) -> None:
    weights = np.ones((3, 12))
    weights[1, 4:] = 0
    whole = batch(weights=weights)
    model = noisy_model()
    expected = step(model, whole, gradient_clip=0.1)
    wanted = gradient(model)
    found = step(model, replace(whole, lanes_at_once=lanes), gradient_clip=0.1)
    assert found.loss_nats == pytest.approx(expected.loss_nats, rel=1e-5)
    assert found.grad_norm == pytest.approx(expected.grad_norm, rel=1e-4)
    torch.testing.assert_close(gradient(model), wanted, rtol=1e-4, atol=1e-6)


def test_a_fresh_batch_forgets_and_another_goes_on() -> None:
    model = noisy_model()
    before = step(model, batch(stop=6)).state
    assert before is not None
    assert not any(tensor.requires_grad for tensor in before.tensors())
    alone, forgets, goes_on = (
        step(model, batch(6, fresh=fresh), state=state).loss_nats
        for fresh, state in ((True, None), (True, before), (False, before))
    )
    assert forgets == alone
    assert goes_on != alone


def test_dropout_is_a_function_of_seed_and_step() -> None:
    def drawn(**place: int) -> list[float]:
        return torch.rand(4, generator=dropout_rng(device="cpu", **place)).tolist()

    assert drawn(seed=1, step=2) == drawn(seed=1, step=2)
    different = {tuple(drawn(seed=seed, step=n)) for seed in range(3) for n in range(5)}
    assert len(different) == 15
    model = noisy_model(dropout=0.5)
    plain, first, again = (
        step(model, batch(), rng=rng and dropout_rng(seed=0, step=0, device="cpu")).loss_nats
        for rng in (None, True, True)
    )
    assert first == again != plain


def test_bfloat16_is_used_where_it_is_asked_for() -> None:
    ones = torch.ones(2, 2)
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        with autocast("cpu", precision):
            assert (ones @ ones).dtype == dtype


def test_a_model_that_guesses_needs_the_logarithm_of_its_vocabulary_for_a_token() -> None:
    model = model_of()
    num_bytes = PIECES[TOKENS[:, 1:]].sum()
    assert bits_per_byte(model, [batch()], piece_bytes=PIECES) == pytest.approx(
        36 * math.log2(11) / num_bytes
    )
    assert bits_per_byte(model, [], piece_bytes=PIECES) == 0


def test_a_look_in_pieces_is_that_of_the_whole() -> None:
    model = noisy_model()
    whole = bits_per_byte(model, [batch()], piece_bytes=PIECES)
    pieces = [batch(stop=5), batch(5, 9, fresh=False), batch(9, fresh=False)]
    assert bits_per_byte(model, pieces, piece_bytes=PIECES) == pytest.approx(whole, rel=1e-5)
    # Nothing is dropped, and no gradient is left.
    model.train()
    assert bits_per_byte(model, [batch()], piece_bytes=PIECES) == whole
    assert all(parameter.grad is None for parameter in model.parameters())


def test_tokens_of_a_view_become_a_tensor_of_their_own_order() -> None:
    view = TOKENS[:, ::2]
    assert to_tensor(view, torch.device("cpu")).tolist() == view.tolist()


_MANY_LENGTHS = """
from pathlib import Path
import torch
import lmcore.model
torch.set_num_threads(1)

def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

layer, before = torch.nn.LSTM(64, 64, batch_first=True), 0
for length in range(20, 220):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(torch.randn(4, length, 64))[0].sum().backward()
    before = before or (length > 60 and held()) or 0
print((held() - before) // 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_steps_of_many_lengths_do_not_fill_the_memory() -> None:
    # The library keeps what it made for each length; unbounded, it is 55 MB here and gigabytes
    # where texts are long.
    done = subprocess.run(
        [sys.executable, "-c", _MANY_LENGTHS], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 30
