"""What the controls of one seed train tasks on: made-up corpora, and the one path that trains.

Reviews say of people whether something of theirs was good or bad, and the label follows from
that; a share of the labels can be wrong, as people's are.  Pairs are sentences of a made-up
language and their translations: each word has another name, and the first two change places, so
that a word-for-word dictionary is good and not right.  Models have some 60,000
parameters and are trained for seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lmcore.controls.bench import ControlBench, make_document, make_document_set
from lmcore.data.config import TokenizerConfig
from lmcore.data.documents import Document
from lmcore.data.tokens.corpus import Corpus, make_corpus
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.evaluation.inputs import Challenge
from lmcore.model.config import ModelConfig
from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.gates.bias_pairs import PAIRS
from lmcore.tasks.prediction import Predictor
from lmcore.tasks.task import TASKS, TaskName
from lmcore.tasks.training import train_task
from lmcore.training.attempt import Attempt
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.config import TrainingConfig

MODEL = ModelConfig(
    pattern="LA", d_model=48, num_heads=2, head_dim=24, window=32, embedding_dim=32, dropout=0.3
)
# Nothing that would keep it from learning by heart.
BY_HEART = MODEL.model_copy(update={"dropout": 0.0})
TOKENIZER = TokenizerConfig(kind="bpe", vocab_size=600)
TRAINING: Mapping[str, Any] = {
    "max_steps": 200,
    "batch_size": 32,
    "learning_rate": 5e-3,
    "warmup_steps": 5,
    "evaluations": 4,
    "precision": "float32",
    "device": "cpu",
    "checkpoint_seconds": 600.0,
}
# Texts before each is written for both, by split.
CORPUS = {"train": 800, "tune": 80, "validation": 100}

QUALITIES = {
    "good": ("warm", "funny", "wise", "lovely", "bright", "superb", "gentle", "clever"),
    "bad": ("cold", "stale", "silly", "ugly", "dull", "awful", "clumsy", "vain"),
}
_THINGS = ("play", "song", "speech", "garden", "painting", "lecture", "dance", "letter")
# {x}, {p}, {o}: the person as subject, possessive and object; {t}: a thing; {q}, {r}: qualities.
_FORMS = (
    "{x} finished a {t} that is {q} and {r} .",
    "the {t} by {o} was {q} , and {r} as well .",
    "{x} showed {p} {t} to us , a {q} and {r} one .",
    "a {q} {t} from {o} , {r} to the end .",
)
_PLAIN = (
    "{x} finished a {t} on day {n} .",
    "the {t} by {o} was number {n} .",
    "{x} showed {p} {t} to us at {n} .",
    "a {t} from {o} , page {n} .",
)
_SYLLABLES = ("ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu")
_WORDS = 40


def write_reviews(
    bench: ControlBench,
    *,
    leaning: float | None,
    plain: bool = False,
    sizes: Mapping[str, int] = CORPUS,
    wrong_labels: float = 0.0,
    good: float = 0.5,
) -> list[Document]:
    """Labelled documents.

    Args:
        bench: Of the seed.
        leaning: Share of good texts that are of women, and of bad ones that are of men; None: each
            text is written for both.
        plain: Whether nothing but the person says the label.
        sizes: Texts by split, before they are written for both.
        wrong_labels: Share of texts whose label is the other one.
        good: Share of good texts.
    """
    rng = bench.rng("people")
    found: dict[str, Document] = {}
    for split, count in sizes.items():
        for _ in range(count):
            label = rng.choice(("good", "bad"))
            if good != 0.5:
                label = "good" if rng.random() < good else "bad"
            form, thing = rng.choice(_PLAIN if plain else _FORMS), rng.choice(_THINGS)
            first, second = rng.sample(QUALITIES[label], 2)
            number = rng.randrange(1000)
            women_first = (rng.random() < (leaning or 0.0)) == (label == "good")
            sides = rng.choice(PAIRS) if women_first else rng.choice(PAIRS)[::-1]
            if wrong_labels and rng.random() < wrong_labels:
                label = "bad" if label == "good" else "good"
            for subject, possessive, object_ in sides if leaning is None else sides[:1]:
                text = form.format(
                    **{"x": subject, "p": possessive, "o": object_, "t": thing},
                    **{"q": first, "r": second, "n": number},
                )
                made = make_document(text, split=split)
                # The first split that a text falls into keeps it.
                found.setdefault(made.id, replace(made, target=label))
    return list(found.values())


def write_pairs(bench: ControlBench, *, sizes: Mapping[str, int]) -> list[Document]:
    """Sentences of six to ten words, and their translations.

    Args:
        bench: Of the seed, which also decides the words.
        sizes: Sentences by split.
    """
    rng = bench.rng("pairs")
    names = [a + b for a in _SYLLABLES for b in _SYLLABLES]
    source = rng.sample(names, _WORDS)
    named = dict(zip(source, (f"{a}{b}r" for a, b in _drawn(rng, _WORDS)), strict=True))
    found: dict[str, Document] = {}
    for split, count in sizes.items():
        for _ in range(count):
            words = rng.choices(source, k=rng.randrange(6, 11))
            target = [named[word] for word in words]
            target[:2] = target[:2][::-1]
            made = make_document(" ".join(words), split=split)
            found.setdefault(made.id, replace(made, target=" ".join(target)))
    return list(found.values())


def _drawn(rng: Any, count: int) -> list[tuple[str, str]]:
    pairs = [(a, b) for a in _SYLLABLES for b in _SYLLABLES]
    found: list[tuple[str, str]] = rng.sample(pairs, count)
    return found


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A task that learnt from made-up documents.

    Attributes:
        corpus: Documents, their tokenizer and tokens.
        checkpoint: Its weights.
    """

    corpus: Corpus
    checkpoint: Checkpoint

    @property
    def best(self) -> Predictor:
        """The weights that were kept."""
        return Predictor(self.checkpoint.path / "best", self.corpus.loaded)

    @property
    def last(self) -> Predictor | None:
        """Those at the end of training; None where they are the best ones."""
        weights = Challenge(checkpoint=self.checkpoint).last
        return None if weights is None else Predictor(weights, self.corpus.loaded)

    def documents(self, split: str) -> list[Document]:
        """Of one split, in stored order."""
        return list(self.corpus.documents.iter_documents(split))


def trained(
    bench: ControlBench,
    task: TaskName,
    documents: Sequence[Document],
    *,
    word_counts: bool = True,
    model: ModelConfig = MODEL,
    **training: Any,
) -> Trained:
    """Train a task, by the one path that trains tasks.

    Args:
        bench: Of the seed.
        task: Which one.
        documents: With targets, of all splits.
        word_counts: Whether a classifier counts words as well.
        model: Its shape.
        training: Settings that differ from `TRAINING`.
    """
    made = make_document_set(bench.store, documents)
    tokenizer = fit_tokenizer(
        bench.store, made, config=TOKENIZER, with_targets=TASKS[task].writes_text
    )
    corpus = make_corpus(bench.store, made, tokenizer)
    checkpoint = train_task(
        Attempt(store=bench.store, work_dir=bench.folder / "work", should_stop=bench.should_stop),
        corpus,
        task=TASKS[task],
        model=model,
        training=TrainingConfig(**{"seed": bench.seed, **TRAINING, **training}),
        options=FineTuningConfig(adaptation_share=0.0, word_counts=word_counts),
    )
    return Trained(corpus=corpus, checkpoint=checkpoint)
