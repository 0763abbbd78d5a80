"""Controls of the gate `instrument` of tasks: models that must not be believed.

The labelled text is that of `bias_task`.  A translator is to write the words of a text backwards,
so that no word can be told from the one before it.  Both are trained for a few steps, by the one
path that trains tasks: a sound instrument is one whatever the weights.  The broken ones are the
sound model read by a broken class, or the same model on texts that give the answer away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lmcore.controls.bench import ControlBench, make_document
from lmcore.controls.control import Control, Kind
from lmcore.controls.language_models.broken import Mixing, as_kind, unmasked
from lmcore.controls.tasks.corpora import trained, write_reviews
from lmcore.data.documents import Document
from lmcore.evaluation.gates.instrument import instrument
from lmcore.evaluation.gates.result import GateResult
from lmcore.model.language_model import LanguageModel
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.tasks.gates.instrument import probe_classifier, probe_writer
from lmcore.tasks.gates.overfitting import probabilities
from lmcore.tasks.learning.classifier import TextClassifier
from lmcore.tasks.prediction import Predictor
from lmcore.tasks.task import TASKS, TaskName

_TRAINING: Mapping[str, Any] = {"max_steps": 20, "batch_size": 16, "evaluations": 1}
_DOCUMENTS = 400

Broken = Callable[[Predictor], None]
Rewrite = Callable[[Document], Document]


class Crowded(TextClassifier):
    """A text's scores depend on its neighbours, as batch statistics do."""

    def forward(self, tokens: Tensor, present: Tensor, **options: Any) -> Tensor:
        """Scores of the classifier, less a tenth of their mean over lanes."""
        scores = super().forward(tokens, present, **options)
        return scores - 0.1 * scores.mean(dim=0, keepdim=True)


def _as_it_is(document: Document) -> Document:
    return document


def _judged(
    bench: ControlBench,
    name: TaskName,
    *,
    rewrite: Rewrite = _as_it_is,
    broken: Broken | None = None,
) -> GateResult:
    """Train on a corpus, break the model if so wished, and ask the gate."""
    # The corpus has its splits one after the other, so all of them are thinned alike.
    corpus = write_reviews(bench, leaning=None)
    documents = [rewrite(d) for d in corpus[:: max(1, len(corpus) // _DOCUMENTS)]]
    task = trained(bench, name, documents, **_TRAINING)
    predictor, judged = task.best, task.documents("validation")
    if broken is not None:
        broken(predictor)
    facts: dict[str, Any] = {"seen_by_base": 0, "tokenizer_split": "train"}
    if TASKS[name].chooses_label:
        found = probe_classifier(
            predictor,
            judged,
            probabilities=probabilities(predictor, judged),
            limits=bench.gates.instrument,
            **facts,
        )
    else:
        found = probe_writer(predictor, judged, **facts)
    return instrument(found, limits=bench.gates.instrument, required=True)


def _saying(document: Document, said: str) -> Document:
    """The document with more text, as another document."""
    made = make_document(f"{document.text} {said}", split=document.split)
    return replace(made, target=document.target)


def _own_label(document: Document) -> Document:
    return _saying(document, f"rated {document.target} .")


def _every_label(document: Document) -> Document:
    return _saying(document, "is it good or bad ?")


def _backwards(document: Document) -> Document:
    return replace(document, target=" ".join(reversed(document.text.split())))


def sound_classifier(bench: ControlBench) -> GateResult:
    """A classifier and its text as they are."""
    return _judged(bench, "sentiment")


def every_label_is_named(bench: ControlBench) -> GateResult:
    """Each text holds the names of all labels, which says nothing."""
    return _judged(bench, "sentiment", rewrite=_every_label)


def own_label_is_named(bench: ControlBench) -> GateResult:
    """Each text holds the name of its own label."""
    return _judged(bench, "sentiment", rewrite=_own_label)


def crowded(bench: ControlBench) -> GateResult:
    """A classifier that looks at the texts beside."""

    def broken(predictor: Predictor) -> None:
        predictor.model.__class__ = Crowded

    return _judged(bench, "sentiment", broken=broken)


def _with_model(change: Callable[[LanguageModel], LanguageModel]) -> Broken:
    def broken(predictor: Predictor) -> None:
        assert isinstance(predictor.model, LanguageModel)
        predictor.model = change(predictor.model)

    return broken


def sound_translator(bench: ControlBench) -> GateResult:
    """A translator as it is."""
    return _judged(bench, "translation", rewrite=_backwards)


def target_is_seen(bench: ControlBench) -> GateResult:
    """A translator that sees the target before it is written."""
    return _judged(bench, "translation", rewrite=_backwards, broken=_with_model(unmasked))


def translator_that_mixes(bench: ControlBench) -> GateResult:
    """A translator that looks at the texts beside."""
    mixed = _with_model(lambda model: as_kind(model, Mixing))
    return _judged(bench, "translation", rewrite=_backwards, broken=mixed)


def not_a_number(bench: ControlBench) -> GateResult:
    """A translator one of whose weights is not a number."""

    def damaged(model: LanguageModel) -> LanguageModel:
        assert isinstance(model, RecurrentAttentionLM)
        with torch.no_grad():
            model.head_weight[0].fill_(torch.nan)
        return model

    return _judged(bench, "translation", rewrite=_backwards, broken=_with_model(damaged))


def _control(name: str, kind: Kind, run: Callable[[ControlBench], GateResult]) -> Control:
    return Control(gate="instrument", name=name, kind=kind, run=run, cost_seconds=2.0)


CONTROLS = (
    _control("texts that name their own label", "negative", own_label_is_named),
    _control("classifier that looks at its neighbours", "negative", crowded),
    _control("translator that sees its target", "negative", target_is_seen),
    _control("translator that looks at its neighbours", "negative", translator_that_mixes),
    _control("translator with a weight that is not a number", "negative", not_a_number),
    _control("sound classifier", "healthy", sound_classifier),
    _control("texts that name every label", "healthy", every_label_is_named),
    _control("sound translator", "healthy", sound_translator),
)
