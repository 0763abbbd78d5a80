"""Controls of `bias_task`: classifiers of a made-up corpus that treat men and women alike, or not.

The corpus says of people whether something of theirs was good or bad, and the label follows from
that alone.  In the sound one every text stands twice, once for a woman and once for a man, with
the same label.  In the second nine women in ten are praised and nine men in ten are not.  In the
third nothing but the person is said, and the label goes with the person as often.  The words for
people are those of the gate's pairs, the sentences are others.  Classifiers have some 60,000
parameters and are trained for seconds, that of the third corpus without counted words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lmcore.controls.bench import ControlBench, make_document, make_document_set
from lmcore.controls.control import Control
from lmcore.data.config import TokenizerConfig
from lmcore.data.documents import Document, DocumentSet
from lmcore.data.tokens.corpus import make_corpus
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.evaluation.config import GateName
from lmcore.evaluation.gates.result import GateResult
from lmcore.model.config import ModelConfig
from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.gates.bias_pairs import PAIRS, measure_task_bias
from lmcore.tasks.gates.bias_task import bias_task
from lmcore.tasks.prediction import Predictor
from lmcore.tasks.task import TASKS, TaskName
from lmcore.tasks.training import train_task
from lmcore.training.attempt import Attempt
from lmcore.training.config import TrainingConfig

NAME: GateName = "bias_task"
MODEL = ModelConfig(
    pattern="LA", d_model=48, num_heads=2, head_dim=24, window=32, embedding_dim=32, dropout=0.3
)
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
LEANING = 0.9

_QUALITIES = {
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


def write_corpus(
    bench: ControlBench, *, leaning: float | None, plain: bool = False
) -> list[Document]:
    """Labelled documents.

    Args:
        bench: Of the seed.
        leaning: Share of good texts that are of women, and of bad ones that are of men; None: each
            text is written for both.
        plain: Whether nothing but the person says the label.
    """
    rng = bench.rng("people")
    found: dict[str, Document] = {}
    for split, count in CORPUS.items():
        for _ in range(count):
            label = rng.choice(("good", "bad"))
            form, thing = rng.choice(_PLAIN if plain else _FORMS), rng.choice(_THINGS)
            first, second = rng.sample(_QUALITIES[label], 2)
            number = rng.randrange(1000)
            women_first = (rng.random() < (leaning or 0.0)) == (label == "good")
            sides = rng.choice(PAIRS) if women_first else rng.choice(PAIRS)[::-1]
            for subject, possessive, object_ in sides if leaning is None else sides[:1]:
                text = form.format(
                    **{"x": subject, "p": possessive, "o": object_, "t": thing},
                    **{"q": first, "r": second, "n": number},
                )
                made = make_document(text, split=split)
                # The first split that a text falls into keeps it.
                found.setdefault(made.id, replace(made, target=label))
    return list(found.values())


def trained(
    bench: ControlBench,
    task: TaskName,
    documents: Sequence[Document],
    *,
    training: Mapping[str, Any],
    word_counts: bool = True,
) -> tuple[Predictor, DocumentSet]:
    """A task that learnt from made-up documents, by the one path that trains tasks.

    Args:
        bench: Of the seed.
        task: Which one.
        documents: With targets, of all splits.
        training: Settings of the training beside its seed.
        word_counts: Whether a classifier counts words as well.
    """
    made = make_document_set(bench.store, documents)
    tokenizer = fit_tokenizer(bench.store, made, config=TOKENIZER)
    checkpoint = train_task(
        Attempt(store=bench.store, work_dir=bench.folder / "work", should_stop=bench.should_stop),
        make_corpus(bench.store, made, tokenizer),
        task=TASKS[task],
        model=MODEL,
        training=TrainingConfig(seed=bench.seed, **training),
        options=FineTuningConfig(adaptation_share=0.0, word_counts=word_counts),
        base=None,
    )
    return Predictor(checkpoint.path / "best", tokenizer.load()), made


def _judged(
    bench: ControlBench, *, leaning: float | None, plain: bool = False, word_counts: bool = True
) -> GateResult:
    predictor, documents = trained(
        bench,
        "sentiment",
        write_corpus(bench, leaning=leaning, plain=plain),
        training=TRAINING,
        word_counts=word_counts,
    )
    found = measure_task_bias(
        predictor, documents.iter_documents("train"), documents.iter_documents("validation")
    )
    return bias_task(
        found,
        limits=bench.gates.bias_task,
        required=True,
        seed=bench.seed,
        resamples=bench.gates.evaluation.resamples,
    )


def women_are_praised(bench: ControlBench) -> GateResult:
    """Gender agrees with the label in nine texts of ten; counted words and network learn it."""
    return _judged(bench, leaning=LEANING)


def only_the_person_counts(bench: ControlBench) -> GateResult:
    """Nothing but the person says the label, in nine texts of ten; the network alone learns it."""
    return _judged(bench, leaning=LEANING, plain=True, word_counts=False)


def alike(bench: ControlBench) -> GateResult:
    """Every text stands for a woman and for a man."""
    return _judged(bench, leaning=None)


CONTROLS = (
    Control(
        gate=NAME,
        name="gender agrees with the label in 90 % of texts",
        kind="negative",
        run=women_are_praised,
        cost_seconds=8.0,
    ),
    Control(
        gate=NAME,
        name="nothing but gender says the label, without counted words",
        kind="negative",
        run=only_the_person_counts,
        cost_seconds=2.0,
    ),
    Control(
        gate=NAME,
        name="each text for a woman and for a man",
        kind="healthy",
        run=alike,
        # The sentences of the gate are far from this text, and so small a model may be unsure of
        # them; that it surely differs would be a false alarm.
        expects=frozenset({"PASS", "INCONCLUSIVE"}),
        cost_seconds=10.0,
    ),
)
