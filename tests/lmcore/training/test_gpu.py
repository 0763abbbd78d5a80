"""What a GPU computes, beside a CPU; skipped where there is none.

python -m pytest -m gpu tests/lmcore/training/test_gpu.py
"""

from typing import Any

import pytest
import torch

from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.model.config import ModelConfig
from lmcore.model.generation import GenerationConfig, generate
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.training.events import TrainingInterrupted

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here"),
    # Weights that are joined on each call are packed on each call, which is little to do.
    pytest.mark.filterwarnings("ignore:RNN module weights are not part"),
]
# More tokens than the window and than a power of two, so that each way of reading has an edge.
LENGTH = 37


@pytest.fixture(autouse=True)
def exact_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten bits of mantissa would hide a mistake in the fifth digit."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def make_model(pattern: str) -> RecurrentAttentionLM:
    torch.manual_seed(0)
    shape = ModelConfig(pattern=pattern, d_model=32, num_heads=2, head_dim=8, window=16)
    model = RecurrentAttentionLM(shape, vocab_size=257, end_id=256)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


@pytest.mark.parametrize("pattern", ["LA", "RA", "LRA"])
def test_logits_gradients_and_state_are_those_of_the_cpu(pattern: str) -> None:
    model = make_model(pattern)
    rng = torch.Generator().manual_seed(1)
    tokens = torch.randint(257, (3, LENGTH), generator=rng)
    tokens[:, 20] = 256  # a document ends inside
    answers = []
    for device in ("cpu", "cuda"):
        model.to(device).train().zero_grad()  # a fused LSTM gives gradients in training only
        first, state = model(tokens[:, :19].to(device))
        second, _ = model(tokens[:, 19:].to(device), state)
        logits = torch.cat([first, second], dim=1)
        logits.logsumexp(-1).sum().backward()
        gradients = [p.grad.cpu().clone() for p in model.parameters() if p.grad is not None]
        answers.append((logits.detach().cpu(), gradients))
    torch.testing.assert_close(answers[1][0], answers[0][0], rtol=1e-4, atol=1e-4)
    for on_gpu, on_cpu in zip(answers[1][1], answers[0][1], strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("pattern", ["LA", "RA"])
def test_training_on_a_gpu_learns_what_training_on_a_cpu_does(
    bench: Any, pattern: str, precision: str
) -> None:
    model = ModelConfig(pattern=pattern, d_model=16, num_heads=2, head_dim=4, window=8, dropout=0.0)
    given = {"model": model, "max_steps": 60}
    on_gpu = bench.train("gpu", device="cuda", precision=precision, **given)
    on_cpu = bench.train("cpu", device="cpu", precision="float32", **given)
    assert on_gpu.summary["precision"] == precision
    found, expected = (c.summary["tune_bits_per_byte"] for c in (on_gpu, on_cpu))
    assert found == pytest.approx(expected, rel=0.03 if precision == "float32" else 0.1)
    assert {p.device.type for p in on_gpu.load().parameters()} == {"cpu"}


def test_an_interrupted_training_on_a_gpu_goes_on(bench: Any) -> None:
    asked = iter([False] * 6 + [True])
    with pytest.raises(TrainingInterrupted):
        bench.train(device="cuda", should_stop=lambda: next(asked))
    resumed = bench.train(device="cuda")
    unbroken = bench.train("unbroken", device="cuda")
    losses = [
        [line["loss_nats"] for line in done.log() if line["kind"] == "step"]
        for done in (resumed, unbroken)
    ]
    assert len(losses[0]) == len(losses[1]) == 12
    # Sums of a GPU have no fixed order, so the bits may differ.
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("pattern", ["LA", "RA"])
def test_greedy_text_is_that_of_the_cpu(pattern: str) -> None:
    model = make_model(pattern)
    config = GenerationConfig(max_tokens=40, temperature=0.0)
    texts = [
        generate(model.to(device), ByteTokenizer(), "a few words", config=config).text
        for device in ("cpu", "cuda")
    ]
    assert texts[0]
    assert texts[0] == texts[1]
