from pathlib import Path
from typing import Any

import pytest
import torch
from pretrained_models import make_base

from lmcore.content_store import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.batches import BatchOrder
from lmcore.data.tokens.borrowing import adopt_tokenizer
from lmcore.data.tokens.layout import plan_layout
from lmcore.data.tokens.tokenizer import load_tokenizer
from lmcore.errors import ConfigError, IntegrityError
from lmcore.model.config import ModelConfig, PretrainedConfig
from lmcore.model.factory import load_model
from lmcore.training.optimizer import learning_rate, make_optimizer, set_learning_rate
from lmcore.training.start import Start, from_scratch, objection
from lmcore.training.step import TrainingLoss, backward_step, dropout_rng

WARM = {"start": "champion", "max_steps": 8}
BPE = TokenizerConfig()
SHAPE = ModelConfig()


def test_going_on_is_a_plain_continuation_with_a_fresh_optimizer(bench: Any) -> None:
    before = bench.train("before").path / "final"
    warm = bench.train("warm", initial=before, **WARM)
    plan, stream = warm.plan(), bench.corpus.train_stream
    layout = plan_layout(len(stream), batch_size=4, sequence_length=16)
    order = BatchOrder(stream=stream, layout=layout, seed=plan.seed)
    model = load_model(before).train()
    losses, optimizer = TrainingLoss(model), make_optimizer(model, weight_decay=plan.weight_decay)
    state = None
    for step in range(8):
        result = backward_step(
            losses,
            order.batch(step),
            state,
            precision="float32",
            gradient_clip=1.0,
            rng=dropout_rng(seed=plan.seed, step=step, device="cpu", num_lanes=4),
        )
        rate = learning_rate(step, steps=8, warmup_steps=0, peak=0.01, decay_steps=4)
        set_learning_rate(optimizer, rate)
        optimizer.step()
        state = result.state
    assert plan.decay_steps == 4
    trained = load_model(warm.path / "final").state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, trained[name]), name


def test_going_on_begins_where_the_champion_ended(bench: Any) -> None:
    before = bench.train("before", max_steps=60)
    warm = bench.train("warm", initial=before.path / "best", **WARM)
    cold = bench.train("cold", max_steps=8)
    first = [run.log()[0]["loss_nats"] for run in (warm, cold)]
    assert first[0] < first[1] - 1.0
    assert warm.summary["tune_bits_per_byte"] < cold.summary["tune_bits_per_byte"]


def test_a_stopped_continuation_goes_on_bit_for_bit(bench: Any) -> None:
    before = bench.train("before").path / "best"
    whole = bench.train("whole", initial=before, **WARM)
    bench.interrupted(after=3, work="parts", initial=before, **WARM)
    assert bench.weights(bench.train("parts", initial=before, **WARM)) == bench.weights(whole)
    # A recorded plan, followed from the same weights, gives the same bits again.
    again = bench.train("again", initial=before, replay=whole.plan(), **WARM)
    assert bench.weights(again) == bench.weights(whole)


def test_other_weights_are_another_training(bench: Any) -> None:
    first = bench.train("first").path
    one = bench.train("warm", initial=first / "best", **WARM)
    other = bench.train("other", seed=1).path
    assert bench.train("warm", initial=other / "best", **WARM).path != one.path
    assert bench.train("warm", initial=first / "best", **WARM).path == one.path


def test_without_weights_there_is_nothing_to_go_on_from(bench: Any) -> None:
    with pytest.raises(ConfigError, match="no weights to start from"):
        bench.train(**WARM)


def rows(**sides: str) -> list[dict[str, str]]:
    return [{"id": name, "split": split, "name": f"{name}.txt"} for name, split in sides.items()]


def why_not(learnt: list[dict[str, str]], today: list[dict[str, str]], **changes: Any) -> Any:
    facts = {"tokenizer": (BPE, BPE), "model": (SHAPE, SHAPE), **changes}
    return objection(learnt=learnt, today=today, **facts)


def test_all_that_was_learnt_must_still_be_in_the_training_text() -> None:
    learnt = rows(a="train", b="tune", c="validation", d="excluded")
    # New documents, and held-out ones that are gone, are no concern.
    assert why_not(learnt, rows(a="train", b="tune", e="train")) is None
    gone = why_not(learnt, rows(b="tune", c="validation"))
    assert gone is not None
    assert "1 of the 2 documents" in gone
    assert "a.txt" in gone
    assert why_not(learnt, rows(a="validation", b="tune")) is not None
    assert why_not(learnt, rows(a="train", b="excluded")) is not None


def test_tokenizer_and_shape_must_be_equal() -> None:
    learnt = rows(a="train")
    other = TokenizerConfig(vocab_size=2048)
    assert "tokenizer" in why_not(learnt, learnt, tokenizer=(BPE, other))
    wide = SHAPE.model_copy(update={"d_model": 512})
    assert "shape" in why_not(learnt, learnt, model=(SHAPE, wide))
    dropped = SHAPE.model_copy(update={"dropout": 0.3})
    assert why_not(learnt, learnt, model=(dropped, SHAPE)) is None


def test_pretrained_models_must_be_the_same_bytes_learnt_beside_in_the_same_way(
    tmp_path: Path,
) -> None:
    pytest.importorskip("transformers")
    learnt = rows(a="train")
    told = make_base(tmp_path, license="Apache-2.0")
    untold, other = make_base(tmp_path), make_base(tmp_path, seed=1)
    lora = PretrainedConfig(pretrained="here", license="Apache-2.0")

    def why(then: Any, now: Any, **changes: Any) -> str | None:
        moved = {"pretrained": "there", "license": "unknown", **changes}
        return why_not(
            learnt,
            learnt,
            # Its own tokenizer is used, whatever is configured.
            tokenizer=(BPE, TokenizerConfig(kind="byte")),
            model=(lora, lora.model_copy(update=moved)),
            pretrained=(then, now),
        )

    assert told.key != untold.key
    assert why(told, untold) is None
    assert why(told, other) == "it began with another pretrained model (llama)"
    for changes in ({"rank": 8}, {"adapt": "full"}, {"context": 512}):
        assert why(told, told, **changes) == "it has another shape"
    assert why_not(learnt, learnt, model=(SHAPE, lora), pretrained=(None, told)) == (
        "it began with random weights, and the configuration asks for a pretrained model (llama)"
    )
    assert why_not(learnt, learnt, model=(lora, SHAPE), pretrained=(told, None)) == (
        "it began with a pretrained model (llama), and the configuration asks for random weights"
    )


def test_a_start_says_where_it_comes_from() -> None:
    assert from_scratch("no champion").to_json() == {
        "origin": "scratch",
        "reason": "no champion",
        "version": None,
        "weights": None,
    }
    start = Start(origin="champion", reason="sound", version=3, weights_sha256="ab")
    assert start.to_json()["version"] == 3


def test_an_adopted_tokenizer_is_the_same_and_belongs_to_the_new_documents(
    bench: Any, tmp_path: Path
) -> None:
    store = ContentStore(tmp_path / "store")

    class Documents:
        key = "today"

    documents: Any = Documents()
    config = TokenizerConfig(kind="byte")
    adopted = adopt_tokenizer(store, documents, config=config, folder=bench.corpus.tokenizer.path)
    assert adopted.load().pieces == bench.corpus.tokenizer.load().pieces
    assert adopted.summary["fitted_on"] == "today"
    assert (adopted.summary["split"], adopted.summary["adopted"]) == ("train", True)
    for path in bench.corpus.tokenizer.path.glob("*.json"):
        if path.name != "manifest.json":
            assert (adopted.path / path.name).read_bytes() == path.read_bytes()
    assert load_tokenizer(adopted.path).vocab_size == 257
    with pytest.raises(IntegrityError):
        adopt_tokenizer(store, documents, config=config, folder=tmp_path)
