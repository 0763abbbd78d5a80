"""One stage of a training: what it reads, what it makes, and what it leaves beside the weights."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmcore.content_store import ContentStore
from lmcore.controls.bench import make_document, make_document_set
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.corpus import Corpus, make_corpus
from lmcore.data.tokens.tokenizer import fit_tokenizer
from lmcore.errors import SourceError
from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.learning.class_scores import class_logits
from lmcore.tasks.learning.classifier import TextClassifier, load_classifier
from lmcore.tasks.learning.familiarity import FAMILIARITY_FILE
from lmcore.tasks.learning.stage import Stage
from lmcore.tasks.record import read_record
from lmcore.tasks.task import SENTIMENT, SUMMARIZATION, TRANSLATION, Task
from lmcore.training.config import TrainingConfig

Rows = Callable[..., list[tuple[str, str]]]


@pytest.mark.slow
def test_a_network_that_learnt_nothing_does_not_spoil_what_counted_words_say(
    bench: Any, reviews: Rows, scratch: FineTuningConfig, tmp_path: Path
) -> None:
    config = bench.config("sentiment", reviews(600), max_steps=1)
    stage = Stage(
        corpus=bench.prepared(config),
        task=SENTIMENT,
        shape=config.model,
        training=config.training,
        options=scratch,
        initial=None,
    )
    model = stage.subject().new_model(0.0, "cpu")
    assert isinstance(model, TextClassifier)
    model.scale(network=1000.0, words=1.0)
    labels = np.array(stage.tune_labels)

    def right(classifier: TextClassifier) -> float:
        logits = class_logits(classifier, stage.tune, end_id=stage.corpus.loaded.end_id)
        return float((logits.argmax(1) == labels).mean())

    assert right(model) < 0.8
    stage.subject().save(model, tmp_path)
    assert right(load_classifier(tmp_path)) > 0.95


SHAPE = ModelConfig(pattern="LA", d_model=16, num_heads=2, head_dim=8, window=8, embedding_dim=8)
TRAINING = TrainingConfig(max_steps=4, batch_size=4)


def corpus_of(folder: Path, rows: Sequence[tuple[str, str, str | None]]) -> Corpus:
    """Split, text and target of each document, cut into bytes."""
    store = ContentStore(folder / "content")
    documents = [make_document(text, split=split, target=target) for split, text, target in rows]
    made = make_document_set(store, documents)
    tokenizer = fit_tokenizer(store, made, config=TokenizerConfig(kind="byte"))
    return make_corpus(store, made, tokenizer)


def stage_of(
    folder: Path,
    rows: Sequence[tuple[str, str, str | None]],
    *,
    task: Task,
    options: FineTuningConfig | None = None,
    shape: ModelConfig = SHAPE,
) -> Stage:
    return Stage(
        corpus=corpus_of(folder, rows),
        task=task,
        shape=shape,
        training=TRAINING,
        options=options or FineTuningConfig(max_source_tokens=20, max_target_tokens=10),
        initial=None,
    )


LABELLED = [
    *(("train", f"fine or dull: {n}", "ny"[n % 2]) for n in range(10)),
    ("tune", "fine", "y"),
    ("tune", "unheard of", "maybe"),
]
PAIRS = [
    *(("train", f"s{n}", f"t{n}") for n in range(10)),
    ("train", "s" * 21, "t" * 11),
    ("tune", "s", "t"),
]


def test_a_document_without_a_target_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"\.txt: no target; give each source .* a target_field"):
        stage_of(tmp_path, [*LABELLED, ("tune", "nobody said", None)], task=SENTIMENT)


def test_classes_are_those_of_the_train_split(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, LABELLED, task=SENTIMENT)
    assert stage.labels is not None
    assert stage.labels.names == ("n", "y")
    assert sorted(stage.tune_labels) == [-1, 1]
    assert sum(stage.train_labels) == 5
    assert not any(len(e.target) for e in stage.train)
    assert stage.shape == SHAPE


def test_facts_count_what_was_cut(tmp_path: Path) -> None:
    facts = stage_of(tmp_path, PAIRS, task=TRANSLATION).facts()
    assert facts["train"]["examples"] == 11
    assert (facts["train"]["sources cut"], facts["train"]["targets cut"]) == (1, 1)
    assert facts["train"]["source"] == "median 2, 95 % up to 11, longest 20 tokens"
    assert facts["train"]["target"].endswith("longest 10 tokens")
    assert (facts["tune"]["examples"], facts["tune"]["sources cut"]) == (1, 0)


@pytest.mark.parametrize(
    ("window", "limits", "expected"),
    [
        (8, (20, 10), 32),  # 20 + 10 + 2: no stream is longer
        (8, (200, 100), 68),  # twice the longest that there is: 21 + 11 + 2
        (500, (20, 10), 500),
    ],
)
def test_attention_of_a_writer_reaches_over_both_sides(
    tmp_path: Path, window: int, limits: tuple[int, int], expected: int
) -> None:
    options = FineTuningConfig(max_source_tokens=limits[0], max_target_tokens=limits[1])
    shape = SHAPE.model_copy(update={"window": window})
    stage = stage_of(tmp_path, PAIRS, task=TRANSLATION, options=options, shape=shape)
    assert stage.shape.window == expected


def test_a_summarizer_has_a_pointer_and_a_translator_has_none(tmp_path: Path) -> None:
    translator = stage_of(tmp_path, PAIRS, task=TRANSLATION)
    assert not translator.shape.pointer
    assert replace(translator, task=SUMMARIZATION, shape=SHAPE).shape.pointer
    copying = FineTuningConfig(copying=True)
    assert replace(translator, options=copying, shape=SHAPE).shape.pointer


def test_a_writer_knows_one_token_more_and_begins_with_how_often_tokens_are_written(
    tmp_path: Path,
) -> None:
    stage = stage_of(tmp_path, PAIRS, task=TRANSLATION)
    assert stage.separator == 257
    model = stage.subject().new_model(0.0, "cpu")
    assert isinstance(model, RecurrentAttentionLM)
    assert model.vocab_size == 258
    with torch.no_grad():
        logits, _ = model(torch.tensor([[256, *b"s1", 257]]), None)
    chances = logits[0, -1].softmax(-1)
    # 20 t, ten digits and eleven ends, and a half for each of the 246 tokens that never occur.
    assert float(chances[ord("t")]) == pytest.approx(20 / 164, rel=0.1)
    assert float(chances[256]) == pytest.approx(11 / 164, rel=0.1)
    assert float(chances[ord("x")]) == pytest.approx(0.5 / 164, rel=0.1)


def test_what_was_consumed_are_the_documents_of_the_steps(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, LABELLED, task=SENTIMENT)
    subject, stream = stage.subject(), stage.corpus.train_stream
    assert subject.layout.steps_per_epoch == 3  # ten texts, four at a time
    nothing, one, whole, more = (subject.consumed(steps) for steps in (0, 1, 3, 7))
    assert nothing.ranges == []
    assert sum(len(stream.documents(*found)) for found in one.ranges) == 4
    assert whole.ranges == more.ranges == [(0, len(stream))]
    assert (one.epochs, whole.epochs) == (pytest.approx(1 / 3), 1.0)
    assert more.steps == 7


@pytest.mark.parametrize(
    ("dropout", "width", "expected"),
    [(None, 16, 0.1), (None, 128, 0.2), (0.0, 16, 0.0), (0.35, 16, 0.35)],
)
def test_a_narrow_model_drops_less_unless_it_is_told(
    tmp_path: Path, dropout: float | None, width: int, expected: float
) -> None:
    shape = SHAPE.model_copy(update={"dropout": dropout, "d_model": width})
    assert stage_of(tmp_path, LABELLED, task=SENTIMENT, shape=shape).subject().dropout == expected


def test_all_that_answers_need_stands_beside_the_weights(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, LABELLED, task=SENTIMENT)
    subject = stage.subject()
    for which in ("best", "final"):
        (tmp_path / which).mkdir()
        subject.save(subject.new_model(0.0, "cpu"), tmp_path / which)
    stage.describe(tmp_path)
    for which in ("best", "final"):
        record = read_record(tmp_path / which)
        assert (record.task, record.labels) == ("sentiment", ("n", "y"))
        assert record.shares == (0.5, 0.5)
        assert record.temperature == 1.0  # of one known label nothing can be fitted
        assert (record.max_source_tokens, record.no_repeat_ngram_size) == (20, 0)
        assert (tmp_path / which / FAMILIARITY_FILE).exists()
