"""Judge a model that writes text: everything that is measured of translation and summarization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lmcore.data.documents import Document, DocumentSet
from lmcore.errors import UserError
from lmcore.evaluation.statistics.intervals import Sums
from lmcore.tasks.gates.instrument import probe_writer
from lmcore.tasks.gates.overfitting import FitFacts
from lmcore.tasks.gates.quality import Compared
from lmcore.tasks.judging import baselines, metrics
from lmcore.tasks.judging.attention import attention_maps
from lmcore.tasks.judging.comparison import Judging
from lmcore.tasks.judging.evidence import (
    FloatArray,
    TaskEvidence,
    chosen_samples,
    clusters,
    lengths_ledger,
)
from lmcore.tasks.judging.metrics import Measured
from lmcore.tasks.judging.pretraining import gain_from_base
from lmcore.tasks.learning.examples import by_length
from lmcore.tasks.prediction import Predictor
from lmcore.tasks.task import TaskName

_LANES = 32
_MAX_SAMPLE_CHARACTERS = 1_500


def write_texts(judging: Judging) -> TaskEvidence:
    """Measure a translator or summarizer and what it is held against on the judged documents."""
    judged, texts = judging.judged, judging.texts
    predictor = judging.candidate()
    task = predictor.record.task
    references = [(d.target or "").strip() for d in judged]
    outputs = [p.output for p in predictor.predict(texts)]
    measured = {m.name: m for m in _scores(task, outputs, references)}
    beside = _baselines(task, judging.corpus.documents, judged)
    for prefix, written in beside.items():
        for found in _scores(task, written, references):
            measured[f"{prefix}_{found.name}"] = found
    deciding = "bleu" if task == "translation" else "rougeL"

    def answer(other: Predictor) -> Measured:
        return _deciding(other, texts, references, name=deciding)

    incumbent = judging.against_champion(answer, ours=measured[deciding])
    unaided = judging.against_unaided(answer, ours=measured[deciding], champion=incumbent)
    if incumbent is not None and incumbent.theirs is not None and not incumbent.seen:
        measured[f"champion_{deciding}"] = incumbent.theirs
    unseen, seen = (_losses(predictor, docs) for docs in (judged, judging.learnt()))
    each = measured["chrf" if task == "translation" else "rougeL"].each
    examples = predictor.pairs(judged)
    return TaskEvidence(
        documents=judged,
        outputs=outputs,
        each=each,
        measured=measured,
        plain={
            "val_loss_nats_per_target_token": (
                float(np.sum(unseen.numerator) / np.sum(unseen.denominator)),
                "nats/token",
            ),
            "outputs_empty": (float(np.mean([not o for o in outputs])), "share"),
        },
        instrument=probe_writer(
            predictor,
            judged,
            seen_by_base=judging.seen_by_base,
            tokenizer_split=judging.tokenizer_split,
        ),
        compared=Compared(
            deciding=measured[deciding],
            bar=measured[f"baseline_{deciding}"],
            bar_name=(
                "a word-for-word dictionary learnt from the same pairs"
                if task == "translation"
                else "a sentence of the source chosen at random"
            ),
            cluster=clusters(judged),
        ),
        champion=incumbent,
        fit=FitFacts(
            train=seen,
            validation=unseen,
            relative=True,
            final_minus_best=judging.rise_at_the_end(
                lambda last: np.asarray(_losses(last, judged).numerator),
                best=np.asarray(unseen.numerator),
                unit=np.asarray(unseen.denominator),
            ),
            stopped_early=bool(judging.checkpoint.summary.get("stopped_early")),
        ),
        bias=None,
        tables=[
            _beside(
                measured,
                beside,
                deciding=deciding,
                cluster=clusters(judged),
                resamples=judging.gates.evaluation.resamples,
            ),
            *gain_from_base(
                unaided,
                base=judging.base,
                seed=0,
                resamples=judging.gates.evaluation.resamples,
            ),
        ],
        samples=_samples(judged, outputs, each),
        attention=attention_maps(predictor, texts, outputs, each),
        ledger={
            "training examples": judging.trained_on(),
            "lengths": lengths_ledger(
                {
                    "judged sources": [len(e.source) for e in examples],
                    "judged targets": [len(e.target) for e in examples],
                },
                unit="tokens",
            ),
            "truncation": {
                "tokens read at most": predictor.record.max_source_tokens,
                "judged sources cut": sum(e.truncated for e in examples),
            },
        },
        signatures={m.name: m.signature for m in measured.values() if m.signature},
    )


def _scores(task: TaskName, outputs: Sequence[str], references: Sequence[str]) -> list[Measured]:
    if task == "translation":
        return [metrics.bleu(outputs, references), metrics.chrf(outputs, references)]
    return metrics.rouge(outputs, references)


def _baselines(
    task: TaskName, documents: DocumentSet, judged: Sequence[Document]
) -> Mapping[str, Sequence[str]]:
    """Answers of the baselines; the first one is the bar."""
    texts = [d.text for d in judged]
    if task == "translation":
        train = list(documents.iter_documents("train"))
        dictionary = baselines.Dictionary([d.text for d in train], [d.target or "" for d in train])
        return {"baseline": [dictionary.translate(t) for t in texts], "baseline_copy": texts}
    return {
        "baseline": [baselines.random_sentence(d) for d in judged],
        "baseline_lead1": [baselines.lead(t, 1) for t in texts],
        "baseline_lead3": [baselines.lead(t, 3) for t in texts],
    }


def _losses(predictor: Predictor, documents: Sequence[Document]) -> Sums:
    """Nats and tokens of each document's target."""
    examples = predictor.pairs(documents)
    nats, tokens = np.zeros(len(examples)), np.zeros(len(examples))
    for members in by_length([e.num_tokens for e in examples], together=_LANES):
        found, weights = predictor.target_nats([examples[i] for i in members])
        nats[members] = (found * weights).sum(1).double().cpu().numpy()
        tokens[members] = weights.sum(1).double().cpu().numpy()
    return Sums(numerator=nats, denominator=np.maximum(tokens, 1), cluster=clusters(documents))


def _deciding(
    other: Predictor, texts: Sequence[str], references: Sequence[str], *, name: str
) -> Measured:
    """What another version's texts of today are worth."""
    outputs = [p.output for p in other.predict(texts)]
    found = {m.name: m for m in _scores(other.record.task, outputs, references)}
    if name not in found:
        raise UserError(f"it is a model for {other.record.task}")
    return found[name]


def _beside(
    measured: Mapping[str, Measured],
    written: Mapping[str, Sequence[str]],
    *,
    deciding: str,
    cluster: npt.NDArray[np.object_],
    resamples: int,
) -> dict[str, Any]:
    """All metrics of the candidate and of each baseline, and the paired difference of one."""
    names = [name for name in measured if not name.startswith(("baseline", "champion"))]
    known = {
        "baseline": "Bar",
        "baseline_copy": "The source as it is",
        "baseline_lead1": "First sentence of the source",
        "baseline_lead3": "First three sentences",
    }

    def shown(name: str) -> str:
        return metrics.figure(measured[name], measured[name].value)

    own = measured[deciding]
    rows = [["This version", *(shown(name) for name in names), ""]]
    for prefix in written:
        gain = own.minus(measured[f"{prefix}_{deciding}"], cluster, seed=0, resamples=resamples)
        rows.append(
            [
                known[prefix],
                *(shown(f"{prefix}_{name}") for name in names),
                metrics.difference(own, gain),
            ]
        )
    notes = dict.fromkeys(f"{m.name}: {m.signature}." for m in measured.values() if m.signature)
    return {
        "caption": "Beside the baselines",
        "header": ["", *names, f"{deciding}: this version minus it"],
        "rows": rows,
        "note": " ".join(["The difference is paired, with 95 % bounds.", *notes]),
    }


def _samples(
    judged: Sequence[Document], outputs: Sequence[str], each: FloatArray
) -> list[dict[str, Any]]:
    def short(text: str) -> str:
        return text if len(text) <= _MAX_SAMPLE_CHARACTERS else text[:_MAX_SAMPLE_CHARACTERS] + "…"

    return [
        {
            "kind": kind,
            "prompt": f"{short(judged[place].text)}\n",
            "text": f"→ {outputs[place]}\nreference: {short((judged[place].target or '').strip())}",
        }
        for kind, place in chosen_samples(each)
    ]
