"""A corpus, a tokenizer and shards small enough to train on in a blink."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from lmcore.content_store import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.borrowing import borrow_tokenizer
from lmcore.data.tokens.corpus import Corpus, make_corpus
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.model.config import ModelConfig
from lmcore.model.pretrained.base import Base
from lmcore.training.attempt import Attempt
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.config import TrainingConfig
from lmcore.training.events import TrainingInterrupted
from lmcore.training.loop import TrainingLoop
from lmcore.training.train import train

TRAIN = [f"{n} green bottles hanging on the wall, {n} green bottles. " * 3 for n in range(60)]
TUNE = [f"{n} green bottles hanging on the wall. " * 4 for n in range(60, 75)]
MODEL = ModelConfig(
    d_model=16, embedding_dim=8, num_heads=2, head_dim=4, window=8, dropout=0.1, mlp_multiple=1
)


@dataclass(frozen=True)
class FakeDocument:
    id: str
    text: str

    @property
    def num_bytes(self) -> int:
        return len(self.text.encode())


class FakeDocuments:
    def __init__(self, train: list[str], tune: list[str]) -> None:
        self.key = f"documents of {len(train)} and {len(tune)}"
        self.texts = {"train": train, "tune": tune}

    def num_bytes(self, *splits: str) -> int:
        return sum(document.num_bytes for document in self.iter_documents(*splits))

    def iter_documents(self, *splits: str) -> Iterator[FakeDocument]:
        for split in splits:
            for number, text in enumerate(self.texts[split]):
                yield FakeDocument(f"{number:064x}", text)


@dataclass(frozen=True)
class Bench:
    """Everything `train` needs, with short defaults."""

    root: Path
    corpus: Corpus

    def train(self, work: str = "work", **changes: Any) -> Checkpoint:
        """Train; names of `TrainingConfig` go there, the others to `train`."""
        own = {
            name: changes.pop(name) for name in list(changes) if name in TrainingConfig.model_fields
        }
        attended = ("nonce", "on_event", "should_stop", "store")
        attempt = self.attempt(
            work, **{name: changes.pop(name) for name in attended if name in changes}
        )
        return train(
            attempt,
            self.corpus,
            model=changes.pop("model", MODEL),
            training=self.settings(**own),
            **changes,
        )

    def attempt(self, work: str, **changes: Any) -> Attempt:
        """Where a training is done."""
        store = ContentStore(self.root / work / "store")
        return Attempt(work_dir=self.root / work / "runs", **{"store": store, **changes})

    @staticmethod
    def settings(**own: Any) -> TrainingConfig:
        """The short defaults and what is given."""
        settings = {
            "max_steps": 12,
            "batch_size": 4,
            "sequence_length": 16,
            "precision": "float32",
            "evaluations": 3,
            "warmup_steps": 2,
            "checkpoint_seconds": 0.01,
            "learning_rate": 0.01,
            **own,
        }
        if own.keys() & {"budget_seconds", "max_epochs"}:
            del settings["max_steps"]
        return TrainingConfig.model_validate(settings)

    def interrupted(self, *, after: int, **changes: Any) -> TrainingInterrupted:
        """Stop a training after so many steps; what it raises says where its state is."""
        begun: list[int] = []
        advance = TrainingLoop._advance

        def counted(loop: TrainingLoop) -> None:
            begun.append(loop.now.progress.step)
            advance(loop)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TrainingLoop, "_advance", counted)
            return self.interrupted_when(lambda: len(begun) >= after, **changes)

    def interrupted_when(
        self, should_stop: Callable[[], bool], **changes: Any
    ) -> TrainingInterrupted:
        """Stop a training when it is said; what it raises says where its state is."""
        with pytest.raises(TrainingInterrupted) as caught:
            self.train(should_stop=should_stop, **changes)
        return caught.value

    @staticmethod
    def weights(checkpoint: Checkpoint) -> tuple[str, str]:
        """Hashes of the best and of the last weights."""
        return checkpoint.summary["weights_sha256"], checkpoint.summary["final_weights_sha256"]

    @staticmethod
    def timeless(checkpoint: Checkpoint) -> list[dict[str, Any]]:
        """The log without its seconds: all of it that must be the same again."""
        return [{k: v for k, v in line.items() if k != "seconds"} for line in checkpoint.log()]


@pytest.fixture(scope="session")
def make_bench(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Bench]:
    def make(
        texts: list[str] = TRAIN, tune: list[str] = TUNE, *, base: Base | None = None
    ) -> Bench:
        root = tmp_path_factory.mktemp("bench")
        store = ContentStore(root / "data")
        documents: Any = FakeDocuments(texts, tune)
        tokenizer = (
            borrow_tokenizer(store, base.path, base.key)
            if base
            else fit_tokenizer(store, documents, config=TokenizerConfig(kind="byte"))
        )
        return Bench(root=root, corpus=make_corpus(store, documents, tokenizer))

    return make


@pytest.fixture(scope="session")
def shared_bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


@pytest.fixture
def bench(shared_bench: Bench, tmp_path: Path) -> Bench:
    return Bench(root=tmp_path, corpus=shared_bench.corpus)


# Six lanes, for two ranks as well as for three.
RANKS_TRAINING = {
    "max_steps": 12,
    "batch_size": 6,
    "sequence_length": 16,
    "precision": "float32",
    "evaluations": 3,
    "learning_rate": 0.01,
    "warmup_steps": 2,
    "checkpoint_seconds": 1000.0,
}


@dataclass(frozen=True)
class Ranks:
    """What `many_ranks.py` left."""

    root: Path
    training: Mapping[str, Any]

    def result(self, run: str, rank: int = 0) -> dict[str, Any]:
        result: dict[str, Any] = json.loads((self.root / run / f"{rank}.json").read_text())
        return result


@pytest.fixture(scope="session")
def ranks(make_bench: Callable[..., Bench], shared_bench: Bench) -> Ranks:
    little = make_bench(tune=["x"])
    # Fewer lanes to look at than ranks.
    dry = {"model": {"dropout": 0.0}, "shards": str(little.corpus.shards.path)}
    often = {"training": {"checkpoint_seconds": 0.001}}
    parts = {"shard_weights": True, "launcher": "torchrun"}
    two_parts = {"training": {**parts, "processes": 2}}
    three_parts = {"training": {**parts, "processes": 3}}
    often_parts = {"training": {**two_parts["training"], **often["training"]}}
    runs: list[dict[str, Any]] = [
        {"name": "one", "size": 1},
        {"name": "two", "size": 2},
        {"name": "one without dropout", "size": 1, **dry},
        {"name": "two without dropout", "size": 2, **dry},
        {"name": "three", "size": 3},
        {"name": "two broken", "size": 2, "kill": [1, 5], **often},
        {"name": "two broken", "size": 2, "kill": ["save", 3], **often},
        {"name": "two broken", "size": 2, **often},
        {"name": "three broken", "size": 3, "stop": 5, "as": "stopped"},
        {"name": "three broken", "size": 3},
        {"name": "two in parts", "size": 2, **two_parts},
        {"name": "two in parts without dropout", "size": 2, **dry, **two_parts},
        {"name": "two in parts broken", "size": 2, "kill": [1, 5], **often_parts},
        {"name": "two in parts broken", "size": 2, "kill": ["save", 3], **often_parts},
        {"name": "two in parts broken", "size": 2, **often_parts},
        {"name": "three in parts", "size": 3, **three_parts},
        {
            "name": "three in parts broken",
            "size": 3,
            "stop": 5,
            "as": "stopped in parts",
            **three_parts,
        },
        {"name": "three in parts broken", "size": 3, **three_parts},
        {
            "name": "diverging",
            "size": 2,
            "training": {"learning_rate": 9.0, "warmup_steps": 0, "gradient_clip": 1e9},
        },
        {"name": "budget", "size": 2, "training": {"max_steps": None, "budget_seconds": 1.0}},
    ]
    root = shared_bench.root / "ranks"
    root.mkdir()
    job = {
        "root": str(root),
        "tokenizer": str(shared_bench.corpus.tokenizer.path),
        "shards": str(shared_bench.corpus.shards.path),
        "model": MODEL.model_dump(mode="json"),
        "training": RANKS_TRAINING,
        "runs": [{"shards": str(shared_bench.corpus.shards.path), **run} for run in runs],
        "workers": {
            "alone": {"launcher": "torchrun"},
            "failing": {"launcher": "torchrun", "learning_rate": 9.0, "gradient_clip": 1e9},
        },
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("many_ranks.py")), json.dumps(job)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return Ranks(root, RANKS_TRAINING)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
