"""Small documents that need neither ingest nor training, and small worlds with a trained model.

Worlds speak a language that is easy for a network and hard for a short n-gram.  Words are a letter
and a long common ending, and each word decides the next one: a byte 5-gram sees only the ending, a
model that reads tokens learns the succession in a few steps.
"""

import hashlib
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from library_tokenizers import borrow
from tokenizers import Tokenizer

from lmcore.content_store import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.data.documents import Document, DocumentSet, RowWriter
from lmcore.data.text.privacy import SpanHashes
from lmcore.data.tokens.borrowing import borrow_tokenizer
from lmcore.data.tokens.corpus import make_corpus
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.evaluate import evaluate_model
from lmcore.evaluation.inputs import Challenge, ChampionInput
from lmcore.evaluation.report import EvalReport
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.model.config import AnyModelConfig, ModelConfig, PretrainedConfig
from lmcore.model.pretrained import shelf
from lmcore.model.pretrained.base import Base
from lmcore.training.attempt import Attempt
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.config import TrainingConfig
from lmcore.training.train import train

LETTERS = "abcdefghijklmnop"
FOLLOWS = dict(zip(LETTERS, random.Random(7).sample(LETTERS, 16), strict=True))
GATES = GatesConfig.model_validate({"evaluation": {"resamples": 1000, "free_samples": 50}})


def make_document(text: str, **facts: Any) -> Document:
    identity = hashlib.sha256(text.encode()).hexdigest()
    values: dict[str, Any] = {
        "id": identity,
        "text": text,
        "name": f"{identity[:6]}.txt",
        "source": 0,
        "license": "CC0-1.0",
        "origin": "a test",
        "num_bytes": len(text.encode()),
        "split": "validation",
        "anchor": False,
        "cluster": identity,
    }
    return Document(**{**values, **facts})


@pytest.fixture
def document() -> Callable[..., Document]:
    return make_document


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "content")


@pytest.fixture
def document_set(store: ContentStore) -> Callable[..., DocumentSet]:
    def build(documents: Sequence[Document], **summary: Any) -> DocumentSet:
        def make(folder: Path) -> dict[str, Any]:
            with RowWriter(folder) as writer:
                for d in documents:
                    writer.add(
                        *(getattr(d, name) for name in type(d).__dataclass_fields__),
                        num_bytes=d.num_bytes,
                    )
            return {"blocked_licenses": [], "licenses": {"CC0-1.0": 1}, **summary}

        inputs = {"rows": [[d.id, d.split, d.anchor] for d in documents], "summary": summary}
        return store.build(DocumentSet, inputs, make)

    return build


@pytest.fixture
def scores() -> Callable[..., ScoreTable]:
    """A table from bits by document; sizes default to 100 bytes each."""

    def build(
        bits: Sequence[float], *, start: int = 0, anchor: Sequence[bool] | None = None
    ) -> ScoreTable:
        names = [f"doc-{start + i:04d}" for i in range(len(bits))]
        return ScoreTable(
            id=names,
            cluster=names,
            name=names,
            split=["validation"] * len(bits),
            source=[0] * len(bits),
            license=["MIT"] * len(bits),
            num_bytes=[100] * len(bits),
            num_tokens=[40] * len(bits),
            nll_nats=np.asarray(bits, dtype=float) * 100 * math.log(2),
            anchor=[False] * len(bits) if anchor is None else list(anchor),
        )

    return build


def make_text(rng: random.Random, num_words: int = 60) -> str:
    letter, words = rng.choice(LETTERS), []
    for _ in range(num_words):
        words.append(letter + "oolioolio")
        letter = FOLLOWS[letter] if rng.random() < 0.9 else rng.choice(LETTERS)
    return " ".join(words)


class World:
    """One corpus and what was made from it.

    Args:
        root: Where everything is kept.
        counts: Documents by split; every second one of validation may be an anchor.
        borrowed: A tokenizer that came with another model; None: one is fitted.
        written: How each text is written.
        base: A pretrained model to go on from, and how; its tokenizer is used.
        dates: Of the documents of validation, in order; None: they have none.
        training: Settings of the training that differ.
    """

    def __init__(
        self,
        root: Path,
        counts: Mapping[str, int],
        *,
        seed: int = 0,
        anchors: bool = False,
        borrowed: Tokenizer | None = None,
        written: Callable[[str], str] = str,
        base: tuple[Base, PretrainedConfig] | None = None,
        dates: Sequence[str | None] | None = None,
        **training: Any,
    ) -> None:
        rng = random.Random(seed)
        self.gates = GATES
        self.store = ContentStore(root)
        documents = self._documents(
            [
                make_document(
                    written(make_text(rng)),
                    split=split,
                    anchor=anchors and split == "validation" and i % 2 == 0,
                    date=dates[i] if dates and split == "validation" else None,
                )
                for split, count in counts.items()
                for i in range(count)
            ]
        )
        self.base = base[0] if base else None
        if self.base is not None:
            tokenizer = borrow_tokenizer(self.store, self.base.path, self.base.key)
        elif borrowed is not None:
            tokenizer = borrow(self.store, borrowed)
        else:
            tokenizer = fit_tokenizer(self.store, documents, config=TokenizerConfig(vocab_size=300))
        self.corpus = make_corpus(self.store, documents, tokenizer)
        self.model: AnyModelConfig = ModelConfig(
            pattern="LA", d_model=32, head_dim=16, window=16, dropout=0.25
        )
        if base is not None:
            self.model = base[1]
        self.root = root
        self.checkpoint = self.train(**training)

    def _documents(self, documents: Sequence[Document]) -> DocumentSet:
        def make(folder: Path) -> dict[str, Any]:
            with RowWriter(folder) as writer:
                for document in documents:
                    writer.add_document(document)
            (folder / "sources.json").write_text('{"sources": [{"files": []}]}')
            personal = json.dumps(SpanHashes(b"salt").to_json())
            (folder / "personal.json").write_text(personal)
            size = sum(document.num_bytes for document in documents)
            return {"licenses": {"CC0-1.0": size}, "blocked_licenses": [], "pii": "mask"}

        inputs = {"texts": [[d.split, d.text, d.anchor, d.date] for d in documents]}
        return self.store.build(DocumentSet, inputs, make)

    def train(self, **options: Any) -> Checkpoint:
        values = {
            "seed": 0,
            "batch_size": 8,
            "sequence_length": 32,
            "warmup_steps": 5,
            "learning_rate": 1e-2,
            "precision": "float32",
            "evaluations": 4,
            **options,
        }
        return train(
            Attempt(store=self.store, work_dir=self.root / "work"),
            self.corpus,
            model=self.model,
            training=TrainingConfig(**values),
            base=self.base,
        )

    def evaluate(
        self,
        checkpoint: Checkpoint | None = None,
        champion: ChampionInput | None = None,
        **options: Any,
    ) -> EvalReport:
        return evaluate_model(
            self.store,
            options.pop("corpus", self.corpus),
            challenge=Challenge(checkpoint=checkpoint or self.checkpoint, champion=champion),
            gates=options.pop("gates", self.gates),
            **options,
        )

    def as_champion(self, checkpoint: Checkpoint | None = None, **changes: Any) -> ChampionInput:
        checkpoint = checkpoint or self.checkpoint
        rows = list(self.corpus.documents.iter_rows())
        champion = ChampionInput(
            version=4,
            weights=checkpoint.path / "best",
            tokenizer=self.corpus.tokenizer.path,
            key=checkpoint.key,
            train_ids=frozenset(r["id"] for r in rows if r["split"] in ("train", "tune")),
            known_ids=frozenset(r["id"] for r in rows),
        )
        return replace(champion, **changes)


@pytest.fixture(scope="session")
def world_of() -> type[World]:
    """Makes a corpus and trains on it."""
    return World


@pytest.fixture(scope="session")
def easy(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world whose model is a sound first version."""
    counts = {"train": 60, "tune": 6, "validation": 24}
    return World(tmp_path_factory.mktemp("easy"), counts, anchors=True, max_steps=26)


#: Last day of what the base of `begun` has read, and the dates of its held-out documents.
KNOWN_UNTIL = "2024-12-31"
DATES = [None, KNOWN_UNTIL, *["2025-01-01", "2025-06-30"] * 11]
COUNTS = {"train": 60, "tune": 6, "validation": 24}


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world whose model was made from a pretrained one, and has learnt something."""
    pytest.importorskip("transformers")
    from pretrained_models import base_of, make_base

    root = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelf, "_roots", [root])
        # A base that knows a little of the language.
        lora = PretrainedConfig(pretrained="tiny", rank=8, context=64)
        full = lora.model_copy(update={"adapt": "full"})
        taught = World(root, COUNTS, base=(make_base(root), full), max_steps=20)
        base = base_of(root, taught.checkpoint.load("best"), known_until=KNOWN_UNTIL)
        yield World(root, COUNTS, base=(base, lora), dates=DATES, anchors=True, max_steps=40)


@pytest.fixture(scope="session")
def beside(begun: World) -> World:
    """A world of the same documents whose model began with random weights."""
    return World(begun.root, COUNTS, dates=DATES, anchors=True, max_steps=26)
