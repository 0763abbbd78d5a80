"""Judge a model that writes text: everything that is measured of translation and summarization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from lmcore.data.documents import Document
from lmcore.evaluation.statistics.intervals import FloatArray
from lmcore.evaluation.statistics.measured import Measured
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.tasks.gates.champion import metric_of
from lmcore.tasks.gates.competence import bars_of_writer
from lmcore.tasks.gates.instrument import probe_writer
from lmcore.tasks.gates.overfitting import fit_of_writer
from lmcore.tasks.judging.attention import attention_maps
from lmcore.tasks.judging.comparison import Judging
from lmcore.tasks.judging.evidence import Shown, TaskEvidence, chosen_samples
from lmcore.tasks.judging.pretraining import gain_from_base
from lmcore.tasks.learning.examples import notes_on_lengths
from lmcore.tasks.measures import metrics
from lmcore.tasks.measures.baselines import Writer, written_baselines
from lmcore.tasks.prediction import Predictor
from lmcore.tasks.task import TASKS

_MAX_SAMPLE_CHARACTERS = 1_500


def write_texts(judging: Judging) -> TaskEvidence:
    """Measure a translator or summarizer and what it is held against on the judged documents."""
    judged = judging.judged
    predictor = judging.candidate()
    task = predictor.record.task
    answers = predictor.predict(judging.texts, on_answered=judging.begins("answers"))
    outputs = [answer.output for answer in answers]
    measure = partial(metrics.of_written, tokenizer=judging.gates.tasks.bleu_tokenizer)
    measured = {m.metric.name: m for m in measure(task, judged, outputs)}
    beside = written_baselines(task, judging.corpus.documents, judged)
    for prefix, writer in beside.items():
        for found in measure(task, judged, writer.outputs):
            measured[f"{prefix}_{found.metric.name}"] = found
    name = TASKS[task].deciding.name
    deciding = measured[name]
    incumbent, unaided = judging.beside(
        lambda other: metric_of(
            other,
            judged,
            name,
            tokenizer=judging.gates.tasks.bleu_tokenizer,
            on_answered=judging.begins("answers of another version"),
        )
    )
    measured |= judging.champion_metric(incumbent)
    judging.begins("what it learnt from")
    fit = fit_of_writer(
        predictor,
        judging.last(),
        learnt=judging.learnt(),
        judged=judged,
        stopped_early=judging.challenge.stopped_early,
    )
    # BLEU says nothing of a single sentence.
    each = measured.get("chrf", deciding).each
    return TaskEvidence(
        documents=judged,
        outputs=outputs,
        each=each,
        deciding=deciding,
        measured=measured,
        plain={
            fit.unseen.metric.name: (fit.unseen.value, fit.unseen.metric.unit),
            "outputs_empty": (float(np.mean([not o for o in outputs])), "share"),
        },
        instrument=probe_writer(
            predictor,
            judged,
            seen_by_base=judging.seen_by_base,
            tokenizer_split=judging.tokenizer_split,
        ),
        bars=bars_of_writer(beside, {key: measured[f"{key}_{name}"] for key in beside}),
        incumbent=incumbent,
        fit=fit,
        bias=None,
        report=Shown(
            tables=[
                _beside(measured, beside, deciding, resampling=judging.resampling),
                *gain_from_base(
                    deciding, unaided, base=judging.base, resampling=judging.resampling
                ),
            ],
            samples=_samples(judged, outputs, each),
            attention=attention_maps(predictor, judging.texts, outputs, each),
            notes=_notes(judging, predictor),
        ),
    )


def _notes(judging: Judging, predictor: Predictor) -> dict[str, dict[str, Any]]:
    examples = predictor.pairs(judging.judged)
    return {
        "training examples": judging.trained_on(),
        "lengths": notes_on_lengths(
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
    }


def _beside(
    measured: Mapping[str, Measured],
    beside: Mapping[str, Writer],
    deciding: Measured,
    *,
    resampling: Resampling,
) -> dict[str, Any]:
    """All metrics of the candidate and of each baseline, and the paired difference of one."""
    names = [name for name in measured if not name.startswith(("baseline", "champion"))]
    decider = deciding.metric.name
    rows = [["This version", *(measured[name].shown() for name in names), ""]]
    for prefix, writer in beside.items():
        gain = deciding.minus(measured[f"{prefix}_{decider}"], resampling=resampling)
        rows.append(
            [
                writer.name[0].upper() + writer.name[1:],
                *(measured[f"{prefix}_{name}"].shown() for name in names),
                metrics.difference(deciding.metric, gain),
            ]
        )
    notes = dict.fromkeys(
        f"{m.metric.name}: {m.signature}." for m in measured.values() if m.signature
    )
    return {
        "caption": "Beside the baselines",
        "header": ["", *names, f"{decider}: this version minus it"],
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
