"""Training that goes on from a model that exists: the same loop, exact to the bit, and small."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
import torch
from language_models import tiny_base
from safetensors import safe_open
from safetensors.torch import load_file

from lmcore.errors import ConfigError, TrainingError
from lmcore.model.config import ModelConfig, PretrainedConfig
from lmcore.model.factory import load_model
from lmcore.model.language_model import learnt
from lmcore.model.pretrained import shelf
from lmcore.training import loop as loop_module
from lmcore.training import resume
from lmcore.training.events import TrainingEvent
from lmcore.training.step import StepResult
from lmcore.training.trials.parts import train_on_parts
from lmcore.training.trials.sweep import sweep

BASE = tiny_base("llama")
LORA = PretrainedConfig(pretrained="llama", context=16, rank=4)
FULL = PretrainedConfig(pretrained="llama", context=16, adapt="full")
both = pytest.mark.parametrize("model", [LORA, FULL], ids=["lora", "full"])


@pytest.fixture(scope="module")
def borrowing(make_bench: Callable[..., Any]) -> Any:
    return make_bench(base=BASE)


@pytest.fixture
def tuned(borrowing: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`bench.train` of a model that begins with the base."""
    monkeypatch.setattr(shelf, "_roots", [BASE.path.parents[1]])
    return dataclasses.replace(borrowing, root=tmp_path)


def given(model: PretrainedConfig = LORA, **changes: Any) -> dict[str, Any]:
    return {"model": model, "base": BASE, **changes}


@both
def test_it_learns_from_where_the_base_stands(tuned: Any, model: PretrainedConfig) -> None:
    checkpoint = tuned.train(**given(model, max_steps=40))
    lines = [line["loss_nats"] for line in checkpoint.log() if line["kind"] == "step"]
    assert lines[-1] < lines[0] - 0.5
    looks = [line["tune_bits_per_byte"] for line in checkpoint.log() if line["kind"] != "step"]
    assert looks[-1] < looks[0]
    assert checkpoint.load("final").num_parameters >= BASE.record().parameters


@both
@pytest.mark.parametrize("stop_at", [1, 7])
def test_stopped_and_gone_on_with_it_ends_with_the_same_bits(
    tuned: Any, model: PretrainedConfig, stop_at: int
) -> None:
    whole = tuned.train("whole", **given(model))
    tuned.interrupted(after=stop_at, work="parts", **given(model))
    resumed = tuned.train("parts", **given(model))
    assert tuned.weights(resumed) == tuned.weights(whole)
    assert tuned.timeless(resumed) == tuned.timeless(whole)
    # And so does whoever follows the recorded plan.
    again = tuned.train("again", replay=whole.plan(), **given(model))
    assert tuned.weights(again) == tuned.weights(whole)


@both
@pytest.mark.parametrize("fatal", [("step", 4), ("save", 3), ("step", 11)])
def test_killed_anywhere_it_ends_with_the_same_bits(
    tuned: Any, model: PretrainedConfig, fatal: tuple[str, int]
) -> None:
    plan = tuned.train("plan", **given(model)).plan().model_copy(update={"checkpoint_every": 2})
    whole = tuned.train("whole", replay=plan, **given(model))
    child = os.fork()
    if not child:
        _die_at(*fatal)
        tuned.train("parts", replay=plan, **given(model))
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    resumed = tuned.train("parts", replay=plan, **given(model))
    assert tuned.weights(resumed) == tuned.weights(whole)
    assert tuned.timeless(resumed) == tuned.timeless(whole)


def _die_at(moment: str, count: int) -> None:
    """SIGKILL at a step, or with half of a resume point written."""
    calls = {"step": 0, "save": 0}
    step, save = loop_module.backward_step, resume.save_file

    def dying_step(*args: Any, **options: Any) -> Any:
        calls["step"] += 1
        if (moment, count) == ("step", calls["step"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*args, **options)

    def dying_save(tensors: Any, path: Path) -> None:
        calls["save"] += 1
        if (moment, count) == ("save", calls["save"]):
            path.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        save(tensors, path)

    loop_module.backward_step, resume.save_file = dying_step, dying_save


def test_points_and_checkpoints_hold_what_learns_alone(tuned: Any) -> None:
    where = tuned.interrupted(after=5, **given()).where
    (newest,) = sorted((where / "points").iterdir())[-1:]
    names = set(load_file(newest / "tensors.safetensors"))
    weights = {name for name in names if name.startswith(("model/", "best/"))}
    assert weights
    assert all("lora_" in name for name in weights)
    assert not any(name.startswith("state/") for name in names)
    checkpoint = tuned.train(**given())
    with safe_open(checkpoint.path / "best" / "model.safetensors", framework="pt") as stored:
        assert set(stored.keys()) == set(learnt(checkpoint.load()))


def test_what_is_not_to_learn_does_not(tuned: Any) -> None:
    trained = tuned.train(**given(max_steps=20, weight_decay=0.5)).load("final")
    untouched = load_file(BASE.path / "model.safetensors")
    stored = {name.replace(".base_layer", ""): t for name, t in trained.inner.state_dict().items()}
    assert all(torch.equal(stored[name], tensor) for name, tensor in untouched.items())


def test_a_spike_is_recovered_from_and_a_second_is_an_error(
    tuned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tuned.train("plan", **given(max_steps=30)).plan()
    plan = plan.model_copy(update={"checkpoint_every": 8})
    real, calls, at = loop_module.backward_step, iter(range(1, 1000)), {22}

    def step(*args: Any, **options: Any) -> StepResult:
        result = real(*args, **options)
        if next(calls) in at:
            return StepResult(loss_nats=float("nan"), grad_norm=1.0, state=result.state)
        return result

    monkeypatch.setattr(loop_module, "backward_step", step)
    checkpoint = tuned.train(replay=plan, **given(max_steps=30))
    assert {"kind": "recovery", "step": 8, "diverged_at": 22} in checkpoint.log()
    assert checkpoint.summary["recoveries"] == 1
    calls, at = iter(range(1, 1000)), {3, 5}
    with pytest.raises(TrainingError, match="diverged at step 2"):
        tuned.train("again", **given(max_steps=20))


def test_it_stops_early_when_the_tune_text_gains_nothing(tuned: Any) -> None:
    run = {"max_steps": 40, "evaluations": 20, "patience": 2, "learning_rate": 1e-7}
    checkpoint = tuned.train(**given(FULL, **{**run, "learning_rate": 0.2}))
    assert checkpoint.summary["stopped_early"]
    assert checkpoint.summary["steps"] < 40


@both
def test_it_goes_on_from_a_champion_of_the_same_base(tuned: Any, model: PretrainedConfig) -> None:
    before = tuned.train("before", **given(model, max_steps=30))
    settings = given(model, start="champion", max_steps=8, initial=before.path / "best")
    warm = tuned.train("warm", **settings)
    cold = tuned.train("cold", **given(model, max_steps=8))
    assert warm.log()[0]["loss_nats"] < cold.log()[0]["loss_nats"] - 0.2
    tuned.interrupted(after=3, work="parts", **settings)
    assert tuned.weights(tuned.train("parts", **settings)) == tuned.weights(warm)


def test_weights_of_another_kind_are_refused(tuned: Any, bench: Any) -> None:
    scratch = bench.train().path / "best"
    other = tuned.train(**given(FULL)).path / "best"
    for initial in (scratch, other):
        with pytest.raises(ConfigError, match="start from a model of the same base"):
            tuned.train(**given(start="champion", initial=initial))
    with pytest.raises(ConfigError):
        bench.train("x", start="champion", initial=other)


def test_the_probe_of_precision_and_a_budget_in_seconds(tuned: Any) -> None:
    checkpoint = tuned.train(**given(budget_seconds=1.5, precision="auto"))
    plan = checkpoint.plan()
    assert plan.precision in ("float32", "bfloat16")
    assert plan.dropout == 0.0
    assert checkpoint.summary["steps"] == plan.steps
    mixed = tuned.train("mixed", **given(precision="bfloat16"))
    assert all(t.dtype == torch.float32 for t in learnt(mixed.load()).values())
    again = tuned.train("again", **given(precision="bfloat16"))
    assert tuned.weights(again) == tuned.weights(mixed)


def test_rates_are_swept(tuned: Any) -> None:
    attempt = tuned.attempt("sweep")
    training = tuned.settings(max_steps=40, learning_rate=0.01)
    found = sweep(attempt, tuned.corpus, model=LORA, training=training, base=BASE)
    assert len(found.runs) >= 3
    assert not any(run.diverged for run in found.runs)
    assert len({run.bits_per_byte().value for run in found.runs}) == len(found.runs)


def test_parts_of_the_text_are_trained_on(tuned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from lmcore.training.trials import parts

    whole = tuned.train(**given())
    documents = tuned.corpus.documents
    monkeypatch.setattr(parts, "_part", lambda *_, **__: documents)
    monkeypatch.setattr(parts, "make_corpus", lambda *_: tuned.corpus)
    (part,) = train_on_parts(
        tuned.attempt("parts"),
        tuned.corpus,
        model=LORA,
        training=tuned.settings(),
        whole=whole,
        shares=[0.5],
        base=BASE,
    )
    assert part.checkpoint.summary["steps"] == whole.summary["steps"]
    assert load_model(part.checkpoint.path / "best").base.key == BASE.key


TORCHRUN = {"launcher": "torchrun", "processes": 2}


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_learn_what_one_does_and_go_on_exactly(tuned: Any) -> None:
    before = tuned.train("before", **given())
    settings = given(start="champion", initial=before.path / "best", max_steps=60)
    one = tuned.train("one", **settings)
    two = tuned.train("two", **settings, **TORCHRUN)
    pairs = zip(one.log(), two.log(), strict=True)
    for ours, theirs in pairs:
        key = "loss_nats" if ours["kind"] == "step" else "tune_bits_per_byte"
        assert theirs[key] == pytest.approx(ours[key], abs=1e-3)
    assert two.plan().processes == 2
    stop = Path(tuned.root / "stop")

    def once_it_has_begun(event: TrainingEvent) -> None:
        if event.step:
            stop.touch()

    stopped = tuned.interrupted_when(
        stop.exists, work="parts", on_event=once_it_has_begun, **settings, **TORCHRUN
    )
    assert 0 < stopped.step < 60
    resumed = tuned.train("parts", **settings, **TORCHRUN)
    assert tuned.weights(resumed) == tuned.weights(two)


def test_a_pretrained_model_needs_its_base_and_one_from_random_weights_has_none(tuned: Any) -> None:
    assert isinstance(tuned.train(**given()).load().config, PretrainedConfig)
    with pytest.raises(AssertionError, match="begins with its base"):
        tuned.train("x", model=LORA)
    assert ModelConfig().carries_state
    assert not LORA.carries_state


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")
@both
def test_a_gpu_learns_what_a_processor_does(tuned: Any, model: PretrainedConfig) -> None:
    settings = given(model, max_steps=40)
    on_cpu = tuned.train("cpu", device="cpu", precision="float32", **settings)
    on_gpu = tuned.train("gpu", device="cuda", precision="bfloat16", **settings)
    found, expected = (c.summary["tune_bits_per_byte"] for c in (on_gpu, on_cpu))
    assert found == pytest.approx(expected, rel=0.05)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")
def test_torchrun_on_a_gpu_learns_what_one_process_does(tuned: Any) -> None:
    settings = given(max_steps=20, device="cuda", precision="bfloat16")
    alone = tuned.train("alone", **settings)
    started = tuned.train("started", launcher="torchrun", **settings)
    found, expected = (c.summary["tune_bits_per_byte"] for c in (started, alone))
    assert found == pytest.approx(expected, rel=0.02)
