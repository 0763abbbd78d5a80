"""Documents of tasks made on the spot, and trainings of seconds on them."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lmcore.config import RunConfig, parse_config
from lmcore.content_store import ContentStore
from lmcore.controls.bench import make_document
from lmcore.data.ingest.ingest import ingest
from lmcore.data.ingest.split import SplitLedger
from lmcore.data.tokens.corpus import Corpus, make_corpus
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.evaluation.inputs import Challenge
from lmcore.evaluation.report import EvalReport
from lmcore.model.config import ModelConfig
from lmcore.model.factory import new_model, save_model
from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.judging.comparison import Judging
from lmcore.tasks.judging.evaluate import evaluate_task
from lmcore.tasks.labels import find_labels
from lmcore.tasks.learning.classifier import TextClassifier, save_classifier
from lmcore.tasks.learning.examples import encode
from lmcore.tasks.learning.objectives import count_words
from lmcore.tasks.prediction import Predictor
from lmcore.tasks.record import TaskRecord
from lmcore.tasks.task import TASKS
from lmcore.tasks.training import train_task
from lmcore.training.attempt import Attempt
from lmcore.training.checkpoint import Checkpoint

GOOD = ("good", "great", "lovely", "fine", "superb", "bright")
BAD = ("bad", "awful", "poor", "dull", "weak", "dreary")
THINGS = ("film", "book", "play", "song", "meal", "trip")


def review(rng: random.Random, good: bool, who: str) -> str:
    first, second = rng.sample(GOOD if good else BAD, 2)
    thing = rng.choice(THINGS)
    return f"{who} said that {thing} number {rng.randrange(10_000)} was {first} and {second} ."


@dataclass
class Bench:
    """A store, and everything up to a trained task in it."""

    root: Path

    def __post_init__(self) -> None:
        self.store = ContentStore(self.root / "content")

    def config(self, task: str, rows: Sequence[tuple[str, str]], **training: Any) -> RunConfig:
        path = self.root / "rows.jsonl"
        lines = (json.dumps({"text": text, "target": target}) for text, target in rows)
        path.write_text("\n".join(lines) + "\n")
        source = {"path": str(path), "target_field": "target", "license": "CC0-1.0"}
        return parse_config(
            {
                "name": task,
                "task": task,
                "sources": [source],
                "data": {
                    "validation_fraction": 0.3,
                    "tune_fraction": 0.1,
                    "near_duplicates": False,
                },
                "tokenizer": {"kind": "bpe", "vocab_size": 400},
                "model": {
                    **{"pattern": "LA", "d_model": 48, "num_heads": 2, "head_dim": 24},
                    **{"window": 32, "embedding_dim": 32},
                },
                "training": {
                    **{"max_steps": 120, "batch_size": 32, "sequence_length": 32},
                    **{"learning_rate": 0.01, "warmup_steps": 5, "evaluations": 4},
                    **{"precision": "float32", **training},
                },
                "gates": {"evaluation": {"resamples": 1000}},
            },
            where="test",
        )

    def prepared(self, config: RunConfig) -> Corpus:
        documents = ingest(
            self.store,
            sources=config.sources,
            data=config.data,
            policy=config.policy,
            ledger=SplitLedger(self.root / f"{config.name}.sqlite"),
        )
        tokenizer = fit_tokenizer(
            self.store,
            documents,
            config=config.tokenizer,
            with_targets=TASKS[config.task].writes_text,
        )
        return make_corpus(self.store, documents, tokenizer)

    def train(self, config: RunConfig, **options: Any) -> Checkpoint:
        assert config.task != "language_modelling"
        attended = {n: options.pop(n) for n in ("on_event", "should_stop") if n in options}
        return train_task(
            Attempt(store=self.store, work_dir=self.root / "work", **attended),
            self.prepared(config),
            task=TASKS[config.task],
            model=config.model,
            training=config.training,
            options=options.pop("settings", config.fine_tuning),
            **options,
        )

    def judge(self, config: RunConfig, checkpoint: Checkpoint, **options: Any) -> EvalReport:
        assert config.task != "language_modelling"
        return evaluate_task(
            self.store,
            self.prepared(config),
            challenge=Challenge(checkpoint=checkpoint, unaided=options.pop("unaided", None)),
            base=None,
            gates=config.gates,
            **options,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def write_reviews(count: int = 600, *, bias: float | None = None) -> list[tuple[str, str]]:
    """Reviews; with `bias`, the person alone says the label, and so often."""
    rng = random.Random(1)
    rows = []
    for _ in range(count):
        good = rng.random() < 0.5
        if bias is None:
            text = review(rng, good, rng.choice(("he", "she", "the man", "the woman")))
        else:
            female = (rng.random() < bias) == good
            who = rng.choice(("she", "the woman") if female else ("he", "the man"))
            text = f"{who} spoke of {rng.choice(THINGS)} number {rng.randrange(10_000)} ."
        rows.append((text, "positive" if good else "negative"))
    return rows


@pytest.fixture
def reviews() -> Callable[..., list[tuple[str, str]]]:
    return write_reviews


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """A classifier of reviews that learnt in both stages, and what it was made from."""

    bench: Bench
    config: RunConfig
    corpus: Corpus
    checkpoint: Checkpoint

    @property
    def predictor(self) -> Predictor:
        return Predictor(self.checkpoint.path / "best", self.corpus.loaded)

    def judging(self, **changes: Any) -> Judging:
        """What it is judged with, on all of its held-out documents."""
        return Judging(
            **{
                "corpus": self.corpus,
                "judged": list(self.corpus.documents.iter_documents("validation")),
                "seen_by_base": 0,
                "challenge": Challenge(checkpoint=self.checkpoint),
                "base": None,
                "gates": self.config.gates,
                **changes,
            }
        )


@pytest.fixture(scope="session")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Reviewed:
    made = Bench(tmp_path_factory.mktemp("reviewed"))
    config = made.config("sentiment", write_reviews(), max_steps=200)
    return Reviewed(
        bench=made, config=config, corpus=made.prepared(config), checkpoint=made.train(config)
    )


NARROW = ModelConfig(pattern="LA", d_model=16, num_heads=2, head_dim=8, window=16, embedding_dim=8)


def write_record(folder: Path, task: str, **changes: Any) -> None:
    record: dict[str, Any] = {
        **{"task": task, "labels": (), "shares": (), "temperature": 1.0, "separator": 257},
        **{"max_source_tokens": 64, "max_target_tokens": 16, "beam_size": 2},
        **{"length_penalty": 1.0, "no_repeat_ngram_size": 0},
    }
    TaskRecord.model_validate({**record, **changes}).write(folder)


@pytest.fixture
def counting(tmp_path: Path) -> Callable[..., Predictor]:
    """Makes classifiers of labelled texts whose network is silent: counted words say it all."""

    def make(rows: Sequence[tuple[str, str]], name: str = "counting") -> Predictor:
        tokenizer, folder = ByteTokenizer(), tmp_path / name
        folder.mkdir()
        labels = find_labels([label for _, label in rows])
        documents = [make_document(text, target=label) for text, label in rows]
        counts = count_words(
            encode(documents, tokenizer, max_source=64, max_target=None),
            labels.index(label for _, label in rows),
            num_labels=len(labels),
            pieces=tokenizer.pieces,
            end_id=tokenizer.end_id,
        )
        network = new_model(NARROW, vocab_size=257, end_id=tokenizer.end_id, seed=0, device="cpu")
        model = TextClassifier(network, len(labels), counts)  # its random head is silenced
        model.scale(network=0.0, words=1.0)
        save_classifier(model, folder)
        write_record(folder, "sentiment", labels=labels.names, shares=labels.shares)
        tokenizer.save(folder)
        return Predictor(folder, tokenizer)

    return make


@pytest.fixture
def untrained_writer(tmp_path: Path) -> Predictor:
    """A translator that learnt nothing."""
    tokenizer, folder = ByteTokenizer(), tmp_path / "writer"
    folder.mkdir()
    model = new_model(NARROW, vocab_size=258, end_id=tokenizer.end_id, seed=0, device="cpu")
    save_model(model, folder)
    write_record(folder, "translation")
    return Predictor(folder, tokenizer)


@pytest.fixture
def scratch() -> FineTuningConfig:
    """No stage of language modelling: the shortest training."""
    return FineTuningConfig(adaptation_share=0.0)
