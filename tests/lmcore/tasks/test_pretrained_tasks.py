"""Tasks that start from a model that exists: the same path, and only what learnt is stored."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
import numpy as np
import torch
from pretrained_models import VOCAB_SIZE, make_base
from safetensors.torch import load_file

from lmcore.content_store import ContentStore
from lmcore.data.ingest.ingest import ingest
from lmcore.data.ingest.split import SplitLedger
from lmcore.data.tokens.borrowing import borrow_tokenizer
from lmcore.data.tokens.corpus import Corpus, make_corpus
from lmcore.evaluation.inputs import Challenge
from lmcore.model.config import PretrainedConfig
from lmcore.model.factory import load_model, new_model, save_model
from lmcore.model.language_model import LanguageModel
from lmcore.model.pretrained import shelf
from lmcore.model.pretrained.base import Base
from lmcore.tasks.base_model import BaseModel, TaskStart, adopt_tokenizer
from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.judging.evaluate import evaluate_task
from lmcore.tasks.learning.class_scores import class_logits
from lmcore.tasks.learning.classifier import TextClassifier
from lmcore.tasks.prediction import Predictor
from lmcore.tasks.task import TASKS
from lmcore.tasks.training import TaskPlans, train_task
from lmcore.training.attempt import Attempt
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.events import TrainingInterrupted
from lmcore.training.plan import Plan

Rows = Callable[..., list[tuple[str, str]]]
KINDS = ("llama", "gpt2", "mamba")
FAST = {"max_steps": 6, "batch_size": 8, "evaluations": 2, "learning_rate": 0.005}


@dataclass
class Started:
    """A bench whose models begin with a tiny one that exists."""

    bench: Any
    base: Base

    def config(self, task: str, rows: Any, **training: Any) -> Any:
        made = self.bench.config(task, rows, **{**FAST, **training})
        model = PretrainedConfig(pretrained="models/tiny", rank=4, context=64)
        return made.model_copy(update={"model": model})

    def corpus(self, config: Any, start: TaskStart | None = None) -> Corpus:
        documents = ingest(
            self.bench.store,
            sources=config.sources,
            data=config.data,
            policy=config.policy,
            ledger=SplitLedger(self.bench.root / f"{config.name}.sqlite"),
        )
        if start is not None and start.base is not None:
            tokenizer = adopt_tokenizer(self.bench.store, start.base)
        else:
            tokenizer = borrow_tokenizer(self.bench.store, self.base.path, self.base.key)
        return make_corpus(self.bench.store, documents, tokenizer)

    def train(
        self,
        config: Any,
        *,
        settings: FineTuningConfig | None = None,
        start: TaskStart | None = None,
        work: str = "work",
        nonce: int = 0,
        should_stop: Any = None,
        replay: TaskPlans | None = None,
    ) -> Checkpoint:
        start = start or TaskStart(pretrained=self.base)
        return train_task(
            Attempt(
                store=self.bench.store,
                work_dir=self.bench.root / work,
                nonce=nonce,
                should_stop=should_stop,
            ),
            self.corpus(config, start),
            task=TASKS[config.task],
            model=config.model,
            training=config.training,
            options=settings or FineTuningConfig(max_source_tokens=40, max_target_tokens=12),
            start=start,
            replay=replay,
        )

    def predictor(self, config: Any, checkpoint: Checkpoint) -> Predictor:
        return Predictor(checkpoint.path / "best", self.corpus(config).loaded)


@pytest.fixture
def started(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Started]]:
    monkeypatch.setattr(shelf, "_roots", [])
    shelf.verified.cache_clear()
    shelf.use(bench.root / "content")
    yield lambda kind: Started(bench, make_base(bench.root / "content", kind))
    shelf.verified.cache_clear()


def write_pairs(count: int = 80) -> list[tuple[str, str]]:
    rng = random.Random(2)
    words = ("cat", "dog", "mat", "cafe", "on", "sat")
    drawn = (rng.choices(words, k=rng.randrange(2, 6)) for _ in range(count))
    return [(" ".join(row), " ".join(reversed(row))) for row in drawn]


def weights(checkpoint: Checkpoint, which: str = "best") -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(checkpoint.path / which / "model.safetensors")
    return found


def same(one: Checkpoint, other: Checkpoint) -> bool:
    pairs = [(weights(one, which), weights(other, which)) for which in ("best", "final")]
    return all(a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a) for a, b in pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_stores_what_learnt_and_answers(
    started: Callable[[str], Started], reviews: Rows, kind: str
) -> None:
    bench = started(kind)
    config = bench.config("sentiment", reviews(120))
    checkpoint = bench.train(config)
    assert checkpoint.summary["adaptation"] is None  # it knows the language
    stored = weights(checkpoint)
    of_model = [name for name in stored if name.startswith("language_model.")]
    assert of_model
    assert all("lora_" in name for name in of_model)
    record = json.loads((checkpoint.path / "best" / "model.json").read_text())
    assert (record["kind"], record["base"]["key"]) == ("classifier", bench.base.key)
    predictor = bench.predictor(config, checkpoint)
    assert isinstance(predictor.model, TextClassifier)
    moved = [stored[name].abs().sum() for name in of_model if "lora_B" in name]
    assert min(moved) > 0
    answers = predictor.predict(["she said that film was good", "dull", ""])
    assert {a.output for a in answers} <= {"positive", "negative"}
    assert all(sum((a.probabilities or {}).values()) == pytest.approx(1) for a in answers)
    # However they are batched and padded, texts are alone.
    examples = predictor.encode(["she said", "a film that was lovely and bright and fine", "x"])
    together = class_logits(predictor.model, examples, end_id=0)
    alone = [class_logits(predictor.model, [e], end_id=0)[0] for e in examples]
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_a_classifier_learns_through_small_matrices(
    started: Callable[[str], Started], reviews: Rows
) -> None:
    bench = started("llama")
    config = bench.config("sentiment", reviews(300), max_steps=80, batch_size=16)
    alone = FineTuningConfig(word_counts=False, max_source_tokens=40)
    predictor = bench.predictor(config, bench.train(config, settings=alone))
    held_out = list(bench.corpus(config).documents.iter_documents("validation"))
    answers = predictor.predict([d.text for d in held_out])
    right = [a.output == d.target for a, d in zip(answers, held_out, strict=True)]
    assert np.mean(right) > 0.85


@pytest.mark.parametrize("kind", KINDS)
def test_a_writer_writes_behind_a_token_that_no_text_spells(
    started: Callable[[str], Started], kind: str
) -> None:
    bench = started(kind)
    config = bench.config("translation", write_pairs())
    predictor = bench.predictor(config, bench.train(config))
    tokenizer, separator = predictor.tokenizer, predictor.record.separator
    assert separator in tokenizer.unspelled
    assert separator < tokenizer.vocab_size == VOCAB_SIZE
    assert isinstance(predictor.model, LanguageModel)
    assert predictor.model.vocab_size == VOCAB_SIZE
    pairs = predictor.pairs(list(bench.corpus(config).documents.iter_documents("validation"))[:3])
    batch = predictor.stream(pairs)
    assert (batch.inputs == separator).sum() == 3
    assert (batch.inputs == tokenizer.end_id).sum() == 3  # padding starts no document
    texts = ["cat dog", "on the mat sat the dog", "a", ""]
    together = [answer.output for answer in predictor.predict(texts)]
    assert together == [predictor.predict([text])[0].output for text in texts]
    assert together[-1] == ""


def test_a_writer_whose_weights_all_learn_learns_its_pairs(
    started: Callable[[str], Started],
) -> None:
    bench = started("llama")
    config = bench.config(
        "translation",
        [(f"{w} {n}", w) for w in ("cat", "dog") for n in range(60)],
        max_steps=80,
        batch_size=16,
    )
    full = config.model.model_copy(update={"adapt": "full"})
    config = config.model_copy(update={"model": full})
    predictor = bench.predictor(config, bench.train(config))
    answers = [a.output for a in predictor.predict(["cat 70", "dog 81", "cat 99"])]
    assert answers == ["cat", "dog", "cat"]


@pytest.mark.parametrize(
    ("task", "kind", "adapt"),
    [("sentiment", "llama", 0.5), ("translation", "gpt2", 0.0), ("summarization", "mamba", 0.0)],
)
def test_it_goes_on_bit_for_bit_and_is_repeated_from_its_plan(
    started: Callable[[str], Started], reviews: Rows, task: str, kind: str, adapt: float
) -> None:
    bench = started(kind)
    rows = reviews(60) if task == "sentiment" else write_pairs(60)
    config = bench.config(task, rows, max_steps=8, learning_rate=0.001, checkpoint_seconds=0.001)
    settings = FineTuningConfig(adaptation_share=adapt, max_source_tokens=40, max_target_tokens=12)
    whole = bench.train(config, settings=settings)
    for number in (2, 5):
        asked = iter(range(1000))
        with pytest.raises(TrainingInterrupted):
            bench.train(
                config,
                settings=settings,
                nonce=1,
                should_stop=lambda asked=asked, n=number: next(asked) >= n,
            )
    assert same(bench.train(config, settings=settings, nonce=1), whole)
    before = whole.summary["adaptation"]
    plans = TaskPlans(
        adaptation=Plan.model_validate(before["plan"]) if before else None, task=whole.plan()
    )
    again = bench.train(config, settings=settings, replay=plans, nonce=2)
    assert again.key != whole.key
    assert same(again, whole)


def test_a_registered_fine_tuned_model_is_gone_on_from(
    started: Callable[[str], Started], reviews: Rows, tmp_path: Path
) -> None:
    bench = started("llama")
    config = bench.config("sentiment", reviews(60), max_steps=1, learning_rate=1e-9)
    folder = tmp_path / "tuned"
    folder.mkdir()
    model = new_model(
        PretrainedConfig(pretrained="models/tiny", rank=2, context=32),
        vocab_size=VOCAB_SIZE,
        end_id=0,
        seed=5,
        device="cpu",
        base=bench.base.path,
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1
    save_model(model, folder)
    tokenizer = bench.corpus(config).tokenizer.path
    base = BaseModel(model="tuned", version=3, key="k", weights=folder, tokenizer=tokenizer)
    checkpoint = bench.train(config, start=TaskStart(base=base))
    assert checkpoint.summary["base"]["version"] == 3
    record = json.loads((checkpoint.path / "best" / "model.json").read_text())
    assert (record["config"]["rank"], record["config"]["context"]) == (2, 32)
    stored, given = weights(checkpoint), load_file(folder / "model.safetensors")
    for name, tensor in given.items():
        torch.testing.assert_close(stored[f"language_model.{name}"], tensor, atol=1e-6, rtol=0)
    assert load_model(folder).shape.rank == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(("task", "kind"), [("sentiment", "gpt2"), ("translation", "llama")])
def test_it_is_judged_as_any_other_version(
    started: Callable[[str], Started], reviews: Rows, task: str, kind: str
) -> None:
    bench = started(kind)
    rows = reviews(120) if task == "sentiment" else write_pairs(100)
    config = bench.config(task, rows)
    checkpoint = bench.train(config)
    corpus = bench.corpus(config)
    report = evaluate_task(
        ContentStore(bench.bench.root / "content"),
        corpus,
        challenge=Challenge(checkpoint=checkpoint),
        base=None,
        gates=config.gates,
    )
    outcomes = {gate.gate: gate for gate in report.verdict().results}
    assert outcomes["instrument"].outcome == "PASS", outcomes["instrument"].reason
    assert "came with the model" in outcomes["instrument"].reason
    assert {"competence", "champion", "overfitting"} <= set(outcomes)
    assert ("bias_task" in outcomes) == (task == "sentiment")
