"""A corpus, a tokenizer and shards small enough to train on in a blink."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from lmcore.artifacts import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.data.shards import ShardSet, write_shards
from lmcore.data.tokenizer import TokenizerHandle, fit_tokenizer
from lmcore.model.config import ModelConfig
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.config import TrainingConfig
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
    shards: ShardSet
    tokenizer: TokenizerHandle

    def train(self, work: str = "work", **changes: Any) -> Checkpoint:
        """Train; names of `TrainingConfig` go there, the others to `train`."""
        own = {
            name: changes.pop(name) for name in list(changes) if name in TrainingConfig.model_fields
        }
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
        return train(
            changes.pop("store", None) or ContentStore(self.root / work / "store"),
            shards=self.shards,
            tokenizer=self.tokenizer,
            model=changes.pop("model", MODEL),
            training=TrainingConfig.model_validate(settings),
            work_dir=self.root / work / "runs",
            **changes,
        )


@pytest.fixture(scope="session")
def make_bench(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Bench]:
    def make(texts: list[str] = TRAIN, tune: list[str] = TUNE) -> Bench:
        root = tmp_path_factory.mktemp("bench")
        store = ContentStore(root / "data")
        documents: Any = FakeDocuments(texts, tune)
        tokenizer = fit_tokenizer(store, documents, config=TokenizerConfig(kind="byte"))
        return Bench(
            root=root, shards=write_shards(store, documents, tokenizer), tokenizer=tokenizer
        )

    return make


@pytest.fixture(scope="session")
def shared_bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


@pytest.fixture
def bench(shared_bench: Bench, tmp_path: Path) -> Bench:
    return Bench(root=tmp_path, shards=shared_bench.shards, tokenizer=shared_bench.tokenizer)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
