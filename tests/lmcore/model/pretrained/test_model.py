"""A pretrained model as a language model: stored as what it learnt, read back as the same."""

import json
from pathlib import Path

import pytest

pytest.importorskip("transformers")
import torch
from pretrained_models import MOST_TOKENS, VOCAB_SIZE, make_base

from lmcore.errors import ConfigError, IntegrityError
from lmcore.model.config import ModelConfig, PretrainedConfig
from lmcore.model.factory import load_model, new_model, save_model
from lmcore.model.language_model import LanguageModel, learnt
from lmcore.model.loss import sequence_loss
from lmcore.model.pretrained import shelf
from lmcore.model.pretrained.base import Base

TOKENS = torch.tensor([[0, 5, 6, 7, 0, 8, 9, 10, 11, 12, 13, 14]])


@pytest.fixture(autouse=True)
def content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shelf, "_roots", [])
    shelf.verified.cache_clear()
    shelf.use(tmp_path / "content")
    return tmp_path / "content"


def begun(base: Base, *, seed: int = 0, **options: object) -> LanguageModel:
    config = PretrainedConfig.model_validate({"pretrained": "x", "context": 16, **options})
    return new_model(
        config, vocab_size=VOCAB_SIZE, end_id=0, seed=seed, device="cpu", base=base.path
    )


def one_step(model: LanguageModel, rate: float = 0.5) -> None:
    """Change all that learns."""
    loss = sequence_loss(model, TOKENS[:, :-1], TOKENS[:, 1:])
    loss.sum_nll.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= rate * parameter.grad / parameter.grad.norm().clamp(min=1e-9)
                parameter.grad = None


@pytest.mark.parametrize("kind", ["llama", "gpt2", "mamba"])
@pytest.mark.parametrize("adapt", ["lora", "full"])
def test_stored_and_read_it_is_the_same_function(
    content: Path, tmp_path: Path, kind: str, adapt: str
) -> None:
    model = begun(make_base(content, kind), adapt=adapt)
    one_step(model)
    with torch.no_grad():
        expected, _ = model.eval()(TOKENS)
    save_model(model, tmp_path)
    again = load_model(tmp_path)
    with torch.no_grad():
        found, _ = again(TOKENS)
    assert torch.equal(found, expected)
    assert set(learnt(again)) == set(learnt(model))


def test_lora_stores_what_learns_and_names_its_base(content: Path, tmp_path: Path) -> None:
    base = make_base(content)
    model = begun(base)
    save_model(model, tmp_path)
    assert all("lora_" in name for name in learnt(model))
    record = json.loads((tmp_path / "model.json").read_text())
    assert record["base"] == {"key": base.key, "weights": base.record().weights_sha256}
    frozen = [p for n, p in model.named_parameters() if "lora_" not in n]
    assert not any(p.requires_grad for p in frozen)


def test_before_it_learnt_it_is_the_model_that_it_begins_with(content: Path) -> None:
    lora, full = (begun(make_base(content), adapt=adapt) for adapt in ("lora", "full"))
    with torch.no_grad():
        assert torch.equal(lora(TOKENS)[0], full(TOKENS)[0])


def test_a_base_that_is_gone_is_one_sentence(content: Path, tmp_path: Path) -> None:
    save_model(begun(make_base(content)), tmp_path)
    content.rename(tmp_path / "moved")
    shelf.verified.cache_clear()
    with pytest.raises(IntegrityError, match="that this version was made from is not here"):
        load_model(tmp_path)


def test_it_takes_over_what_was_learnt_from_the_same_base_only(content: Path) -> None:
    base = make_base(content)
    source = begun(base)
    one_step(source)
    target = begun(base, seed=1)
    target.take_over(source)
    with torch.no_grad():
        assert torch.equal(target(TOKENS)[0], source(TOKENS)[0])
    for other in (
        begun(base, rank=8),
        begun(base, adapt="full"),
        begun(make_base(content, seed=1)),
    ):
        with pytest.raises(ConfigError, match="start from a model of the same base"):
            other.take_over(source)
    scratch = new_model(
        ModelConfig(pattern="A", d_model=8, num_heads=1, head_dim=4),
        vocab_size=VOCAB_SIZE,
        end_id=0,
        seed=0,
        device="cpu",
    )
    for one, two in ((scratch, source), (source, scratch)):
        with pytest.raises(ConfigError):
            one.take_over(two)


def test_the_library_never_drops_anything(content: Path) -> None:
    model = begun(make_base(content, "gpt2")).train()
    assert model.training
    assert not any(part.training for part in model.inner.modules())
    with torch.no_grad():
        assert torch.equal(model(TOKENS)[0], model(TOKENS)[0])


def test_a_tokenizer_of_another_size_is_refused(content: Path) -> None:
    base = make_base(content)
    config = PretrainedConfig(pretrained="x")
    with pytest.raises(ConfigError, match="300 rows of embedding; take its own tokenizer"):
        new_model(config, vocab_size=290, end_id=0, seed=0, device="cpu", base=base.path)


@pytest.mark.parametrize("adapt", ["lora", "full"])
def test_the_nats_of_targets_are_those_of_the_logits_with_and_without_a_gradient(
    content: Path, adapt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lmcore.model.pretrained import head as module

    monkeypatch.setitem(module._LOGITS, "cpu", 3 * VOCAB_SIZE)  # three rows at a time
    model = begun(make_base(content, "gemma2"), adapt=adapt)
    features, _ = model.features(TOKENS[:, :-1])
    nats = model.target_nll(features, TOKENS[:, 1:])
    assert nats.requires_grad
    log_p = model.logits(features).log_softmax(-1)
    expected = -log_p.gather(2, TOKENS[:, 1:, None])[..., 0]
    torch.testing.assert_close(nats, expected)
    with torch.no_grad():
        torch.testing.assert_close(model.target_nll(features, TOKENS[:, 1:]), expected)
    one = features.last()
    torch.testing.assert_close(model.logits(one), model.logits(features)[:, -1])
    # Each target weighs otherwise, so a gradient that is known before its loss has to be scaled.
    weights = torch.linspace(-1, 2, nats.numel()).view_as(nats)
    own = torch.autograd.grad((nats * weights).sum(), features.vectors, retain_graph=True)
    through = torch.autograd.grad((expected * weights).sum(), features.vectors)
    torch.testing.assert_close(own, through)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_matrices_beside_others_are_those_of_the_library(content: Path, kind: str) -> None:
    import peft

    model = begun(make_base(content, kind))
    one_step(model)
    layers = [m for m in model.inner.modules() if isinstance(m, peft.tuners.lora.Linear)]
    assert layers
    for layer in layers:
        given = torch.randn(2, 3, layer.in_features)
        with torch.no_grad():
            expected = peft.tuners.lora.Linear.forward(layer, given)
            assert not torch.equal(expected, layer.base_layer(given))
            torch.testing.assert_close(layer(given), expected)


def test_what_learns_is_told_block_by_block_from_the_top(content: Path) -> None:
    model = begun(make_base(content))
    depths = model.depths()
    names = {id(p): n for n, p in model.named_parameters()}
    assert [{names[id(p)].split(".layers.")[1][0] for p in block} for block in depths] == [
        {"1"},
        {"0"},
    ]
    whole = begun(make_base(content), adapt="full")
    told = [id(p) for block in whole.depths() for p in block]
    assert sorted(told) == sorted(id(p) for p in whole.parameters())


@pytest.mark.parametrize("kind", ["llama", "gpt2", "mamba"])
def test_settled_it_says_the_same_without_small_matrices(content: Path, kind: str) -> None:
    model = begun(make_base(content, kind))
    one_step(model)
    with torch.no_grad():
        before = model(TOKENS)[0]
        model.settle()
        after = model(TOKENS)[0]
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)
    assert not [name for name, _ in model.named_parameters() if "lora" in name]
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_turns_of_a_conversation_are_one_text(content: Path) -> None:
    import transformers

    base = make_base(content)
    model = begun(base, context=MOST_TOKENS)
    whole = transformers.AutoModelForCausalLM.from_pretrained(base.path).eval()
    with torch.no_grad():
        expected = whole(TOKENS).logits
        features, state = model.converse(TOKENS[:, :7])
        rest, _ = model.converse(TOKENS[:, 7:], state)
        found = torch.cat([model.logits(features), model.logits(rest)], 1)
        alone = model(TOKENS)[0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(alone[:, 5:], expected[:, 5:], atol=1e-2)
