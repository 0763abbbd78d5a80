"""The same training on parts of the text: which text, how long, and only once."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lmcore.content_store import ContentStore
from lmcore.controls.bench import make_document, make_document_set
from lmcore.data.config import TokenizerConfig
from lmcore.data.documents import DocumentSet
from lmcore.data.tokens.corpus import Corpus, make_corpus
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.errors import SourceError
from lmcore.model.config import ModelConfig
from lmcore.training.attempt import Attempt
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.config import TrainingConfig
from lmcore.training.events import TrainingEvent, TrainingInterrupted
from lmcore.training.train import train
from lmcore.training.trials.parts import PartModel, train_on_parts

MODEL = ModelConfig(pattern="L", d_model=8, num_heads=1, head_dim=8, embedding_dim=8)
TRAINING = TrainingConfig(
    max_epochs=0.2, batch_size=4, sequence_length=16, precision="float32", evaluations=1
)


class Text:
    """Sixty documents in twenty clusters of three, and a training on all of them."""

    def __init__(self, root: Path) -> None:
        self.attempt = Attempt(store=ContentStore(root / "store"), work_dir=root / "work")
        store = self.attempt.store
        documents = [
            *(
                make_document(f"bottle {n} hangs on the wall " * 2, cluster=f"c{n % 20}")
                for n in range(60)
            ),
            *(make_document(f"tune {n}", split="tune") for n in range(9)),
            make_document("held out", split="validation"),
        ]
        made = make_document_set(store, documents)
        tokenizer = fit_tokenizer(store, made, config=TokenizerConfig(kind="byte"))
        self.corpus: Corpus = make_corpus(store, made, tokenizer)
        self.whole: Checkpoint = train(self.attempt, self.corpus, model=MODEL, training=TRAINING)

    def parts(self, *shares: float, **changes: Any) -> list[PartModel]:
        training = changes.pop("training", TRAINING)
        return train_on_parts(
            replace(self.attempt, **changes),
            self.corpus,
            model=MODEL,
            training=training,
            whole=self.whole,
            shares=shares,
        )

    def documents_of(self, part: PartModel) -> dict[str, set[str]]:
        """Documents by split of the text that a part was trained on."""
        kinds = self.attempt.store.root.glob("documents/*/manifest.json")
        manifests = {path.parent: json.loads(path.read_text()) for path in kinds}
        (folder,) = (
            folder
            for folder, manifest in manifests.items()
            if manifest["summary"].get("share") == part.share
        )
        made = DocumentSet.open(folder)
        return {
            split: {d.id for d in made.iter_documents(split)}
            for split in ("train", "tune", "validation")
        }


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Text:
    return Text(tmp_path_factory.mktemp("parts"))


def test_parts_hold_whole_clusters_lie_within_each_other_and_keep_the_tune_text(text: Text) -> None:
    small, large = text.parts(0.3, 0.7)
    fewer, more = text.documents_of(small), text.documents_of(large)
    everything = {d.id: d for d in text.corpus.documents.iter_documents("train", "tune")}
    assert set() < fewer["train"] < more["train"] < set(everything)
    for part in (fewer, more):
        clusters = {everything[identity].cluster for identity in part["train"]}
        assert len(part["train"]) == 3 * len(clusters)
        assert part["tune"] == {i for i, d in everything.items() if d.split == "tune"}
        assert part["validation"] == set()
    assert small.train_bytes == sum(everything[i].num_bytes for i in fewer["train"])
    assert (small.share, large.share) == (0.3, 0.7)


def test_every_part_is_trained_as_long_as_the_whole_and_from_random_weights(text: Text) -> None:
    steps = text.whole.summary["steps"]
    warm = TRAINING.model_copy(update={"start": "champion"})
    for training in (TRAINING, warm):
        found = text.parts(0.3, 0.7, training=training)
        assert [part.checkpoint.plan().steps for part in found] == [steps, steps]
        assert {part.checkpoint.plan().decay_steps for part in found} == {None}
    shares = {part.checkpoint.summary["weights_sha256"] for part in found}
    assert len(shares | {text.whole.summary["weights_sha256"]}) == 3


def test_parts_are_trained_once_and_go_on_after_a_stop(text: Text) -> None:
    planned: list[TrainingEvent] = []
    asked = iter(range(1000))
    with pytest.raises(TrainingInterrupted):
        text.parts(
            0.5,
            should_stop=lambda: bool(planned) and next(asked) >= 2,
            on_event=planned.append,
        )
    events: list[TrainingEvent] = []
    (part,) = text.parts(0.5, on_event=events.append)
    assert (events[0].kind, events[0].step) == ("resume", 2)
    events.clear()
    (again,) = text.parts(0.5, on_event=events.append)
    assert again == part
    assert events == []


def test_a_part_without_text_is_named(text: Text) -> None:
    with pytest.raises(SourceError, match=r"^0% of the train documents hold no text; set gates"):
        text.parts(0.001)
