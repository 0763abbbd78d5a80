"""What the controls of one seed share: a corpus, a healthy model, and the way to train others.

In comes a seed and a folder; everything else follows from the seed: the corpus, the tokenizer,
the models (about 30,000 parameters, trained for a second or two on one core).  No clock has a say:
the plan of a training is made here and not probed.  What was made lies in the folder's content
store, so a matrix that was interrupted does not train again.

    bench = ControlBench(seed=3, folder=folder)
    bench.healthy_model            # trained on all of the corpus, best weights by tune
    bench.world(documents)         # another corpus, for a control that breaks the data
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lmcore.content_store import ContentStore
from lmcore.controls.language import TOKENIZER, Language
from lmcore.data.documents import Document, DocumentSet, RowWriter
from lmcore.data.tokens.corpus import Corpus
from lmcore.data.tokens.layout import plan_layout
from lmcore.data.tokens.shards import write_shards
from lmcore.data.tokens.tokenizer import Tokenizer, TokenizerHandle, fit_tokenizer
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.memory.consumed_text import ConsumedSample, sample_consumed
from lmcore.evaluation.memory.difficulty_reference import Reference, score_reference
from lmcore.evaluation.scores.scoring import score_documents
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.model.config import ModelConfig
from lmcore.model.factory import new_model
from lmcore.model.language_model import LanguageModel
from lmcore.training.attempt import Attempt
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.config import TrainingConfig
from lmcore.training.plan import Machine, make_plan
from lmcore.training.train import train

MODEL = ModelConfig(pattern="LA", d_model=32, head_dim=16, window=16)
# Room to learn by heart; still under 150,000 parameters.
ROOMY = ModelConfig(pattern="LA", d_model=64, head_dim=16, window=16, dropout=0.0)
# Documents by split; 320 bytes and 121 tokens each.
CORPUS = {"train": 600, "tune": 40, "validation": 160}
TRAINING: Mapping[str, Any] = {
    "batch_size": 16,
    "sequence_length": 32,
    "learning_rate": 1e-2,
    "warmup_steps": 5,
    "precision": "float32",
    "device": "cpu",
    "evaluations": 4,
    # A training takes seconds: it is repeated, not resumed.
    "checkpoint_seconds": 600.0,
}
_MACHINE = Machine(
    **{"precision": "float32", "device": "cpu", "threads": 1},
    **{"step": 1e-3, "evaluation_step": 1e-3, "save": 1e-3},
)
# More than one pass, so that the healthy model has had its chance to learn by heart.
HEALTHY_EPOCHS = 1.5
_SAMPLE_BYTES = 1 << 20

ShouldStop = Callable[[], bool]


def make_document(text: str, **facts: Any) -> Document:
    """A document of a control; `facts` replace single fields.

    Args:
        text: Its text.
        facts: Fields of `Document`, for example its split.
    """
    identity = hashlib.sha256(text.encode()).hexdigest()
    values: dict[str, Any] = {
        "id": identity,
        "text": text,
        "name": f"{identity[:6]}.txt",
        "source": 0,
        "license": "CC0-1.0",
        "origin": "generated",
        "num_bytes": len(text.encode()),
        "split": "train",
        "anchor": False,
        "cluster": identity,
    }
    return Document(**{**values, **facts})


def make_document_set(
    store: ContentStore, documents: Sequence[Document], **summary: Any
) -> DocumentSet:
    """A document set of what a control made up, without ingest.

    Args:
        store: Where it is kept.
        documents: In stored order.
        summary: Facts of the set beside its licences.
    """

    def make(folder: Path) -> dict[str, Any]:
        with RowWriter(folder) as writer:
            for document in documents:
                writer.add_document(document)
        sizes: dict[str, int] = {}
        for document in documents:
            sizes[document.license] = sizes.get(document.license, 0) + document.num_bytes
        return {"licenses": sizes, "blocked_licenses": [], **summary}

    rows = [[d.id, d.split, d.anchor, d.cluster, d.license, d.target] for d in documents]
    return store.build(DocumentSet, {"rows": rows, "summary": summary}, make)


@dataclass(frozen=True, kw_only=True, eq=False)
class World(Corpus):
    """One corpus, how its models are trained, and what a model says of it.

    Attributes:
        store: Where everything is kept.
        work: State of unfinished trainings.
        seed: Of the bench.
        should_stop: Asked before each step of a training.
    """

    store: ContentStore
    work: Path
    seed: int
    should_stop: ShouldStop | None = None
    model: ModelConfig = MODEL

    @cached_property
    def targets(self) -> Sequence[Document]:
        """The validation documents."""
        return list(self.documents.iter_documents("validation"))

    def untrained(self, tokenizer: Tokenizer | None = None) -> LanguageModel:
        """Weights as they are drawn, for a tokenizer; None: the world's."""
        tokenizer = tokenizer or self.loaded
        return new_model(
            self.model,
            vocab_size=tokenizer.vocab_size,
            end_id=tokenizer.end_id,
            seed=self.seed,
            device="cpu",
        ).eval()

    def train(self, model: ModelConfig | None = None, **options: Any) -> Checkpoint:
        """Train a model on this corpus.

        Args:
            model: Its shape; None: the world's.
            options: Settings of the training that differ from `TRAINING`.

        Raises:
            TrainingInterrupted: If asked to stop.
        """
        length = {} if "max_steps" in options else {"max_epochs": HEALTHY_EPOCHS}
        training = TrainingConfig(**{"seed": self.seed, **TRAINING, **length, **options})
        shape = model or self.model
        stream, tune = self.train_stream, self.tune_stream
        plan = make_plan(
            training,
            layout=plan_layout(
                len(stream),
                batch_size=training.batch_size,
                sequence_length=training.sequence_length,
            ),
            tune_tokens=len(tune) if len(tune) > 1 else 0,
            dropout=shape.dropout,
            machine=_MACHINE,
        )
        return train(
            Attempt(store=self.store, work_dir=self.work, should_stop=self.should_stop),
            self,
            model=shape,
            training=training,
            replay=plan,
        )

    def scores(
        self, model: LanguageModel, documents: Iterable[Document] | None = None
    ) -> ScoreTable:
        """What a model says of documents; None: of validation."""
        return score_documents(model, self.loaded, self.targets if documents is None else documents)

    def consumed(self, checkpoint: Checkpoint) -> ConsumedSample:
        """Train text that a checkpoint has read, at most as much as validation."""
        return sample_consumed(
            self,
            ranges=checkpoint.consumed().ranges,
            max_bytes=sum(document.num_bytes for document in self.targets),
        )

    def reference(self, sample: ConsumedSample) -> Reference:
        """How hard both sides of the overfitting gate are."""
        return score_reference(
            self.documents, sample=sample, validation=self.targets, max_bytes=_SAMPLE_BYTES
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ControlBench:
    """What the controls of one seed share.

    Attributes:
        seed: Of everything.
        folder: For the content store; results of the same seed and code are found there again.
        gates: The limits that the gates are tried with.
        should_stop: Asked before each step of a training.
    """

    seed: int
    folder: Path
    gates: GatesConfig = field(default_factory=GatesConfig.default)
    should_stop: ShouldStop | None = None

    @cached_property
    def store(self) -> ContentStore:
        """Everything that the controls of this seed make."""
        return ContentStore(self.folder / "content")

    @property
    def resampling(self) -> Resampling:
        """Of the gates' intervals."""
        return Resampling(seed=self.seed, resamples=self.gates.evaluation.resamples)

    def rng(self, purpose: str) -> random.Random:
        """Random numbers of one purpose, independent of those of others."""
        return random.Random(f"{self.seed}:{purpose}")

    @cached_property
    def language(self) -> Language:
        """The language of this seed."""
        return Language.draw(self.rng("language"))

    @cached_property
    def corpus(self) -> Sequence[Document]:
        """The healthy corpus, every second validation document in the anchor slice."""
        rng = self.rng("corpus")
        return [
            make_document(
                self.language.text(rng), split=split, anchor=split == "validation" and i % 2 == 0
            )
            for split, count in CORPUS.items()
            for i in range(count)
        ]

    @cached_property
    def sound(self) -> World:
        """The world of the healthy corpus."""
        return self.world(self.corpus)

    @cached_property
    def healthy(self) -> Checkpoint:
        """The healthy model: trained on all of the healthy corpus, best weights by tune."""
        return self.sound.train()

    @cached_property
    def healthy_model(self) -> LanguageModel:
        """Its best weights in evaluation mode; not to be changed."""
        return self.healthy.load("best").eval()

    @cached_property
    def healthy_scores(self) -> ScoreTable:
        """What it says of validation."""
        return self.sound.scores(self.healthy_model)

    def world(
        self,
        documents: Sequence[Document],
        *,
        tokenizer: TokenizerHandle | None = None,
        model: ModelConfig = MODEL,
    ) -> World:
        """Make a corpus ready for training.

        Args:
            documents: With their splits.
            tokenizer: One that was fitted elsewhere; None fits one on the train split.
            model: Shape of its models.
        """
        made = make_document_set(self.store, documents)
        fitted = tokenizer or fit_tokenizer(self.store, made, config=TOKENIZER)
        return World(
            store=self.store,
            work=self.folder / "work",
            seed=self.seed,
            documents=made,
            tokenizer=fitted,
            shards=write_shards(self.store, made, fitted),
            should_stop=self.should_stop,
            model=model,
        )
