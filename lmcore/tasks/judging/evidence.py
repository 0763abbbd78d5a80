"""What a task's gates and its report are made of, whatever the task."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmcore.data.documents import Document, DocumentSet
from lmcore.data.tokens.batches import consumed_documents
from lmcore.data.tokens.corpus import Corpus
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.gates.champion import Incumbent
from lmcore.evaluation.gates.competence import Bar
from lmcore.evaluation.gates.instrument import Instrument
from lmcore.evaluation.gates.overfitting import Fit
from lmcore.evaluation.inputs import TrainedModel
from lmcore.evaluation.statistics.intervals import FloatArray
from lmcore.evaluation.statistics.measured import Measured
from lmcore.tasks.gates.bias_pairs import TaskBias


@dataclass(frozen=True, kw_only=True)
class TaskEvidence:
    """What was measured.

    Attributes:
        documents: Held-out documents that were judged on.
        outputs: The candidate's answer to each.
        each: How good each answer is, [N].
        deciding: The metric of the candidate that decides.
        measured: Metrics of the candidate, of baselines (`baseline_...`) and of the champion
            (`champion_...`), by name.
        plain: Further numbers: name to value and unit.
        instrument: For the gate of this name, as the next four.
        bars: What it is held against.
        incumbent: None where there is no champion.
        fit: Examples that were learnt from, and held-out ones.
        bias: None for tasks that write text.
        report: What people are shown beside the figures.
    """

    documents: Sequence[Document]
    outputs: Sequence[str]
    each: FloatArray
    deciding: Measured
    measured: Mapping[str, Measured]
    plain: Mapping[str, tuple[float, str]]
    instrument: Instrument
    bars: Sequence[Bar]
    incumbent: Incumbent | None
    fit: Fit
    bias: TaskBias | None
    report: Shown

    @property
    def signatures(self) -> dict[str, str]:
        """How corpus metrics were computed, by name."""
        return {m.metric.name: m.signature for m in self.measured.values() if m.signature}

    @property
    def way(self) -> str:
        """How `each` was computed; empty where there is one way only."""
        # Of translations it is chrF.
        return self.signatures.get("chrf", self.deciding.signature)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What people are shown.

    Attributes:
        tables: Caption, header, rows and note of each.
        samples: A few answers: prompt, text and kind.
        attention: Which words a few answers looked at; see `lmcore.tasks.judging.attention`.
        notes: What training and evaluation did to the data: classes, lengths, what was cut.
    """

    tables: Sequence[Mapping[str, Any]]
    samples: Sequence[Mapping[str, Any]]
    attention: Sequence[Mapping[str, Any]]
    notes: Mapping[str, Mapping[str, Any]]


def judged_documents(
    documents: DocumentSet, *, limit: int, without: AbstractSet[str]
) -> tuple[list[Document], int]:
    """The held-out documents that are judged on, in stored order, and how many were left out.

    Beyond the limit they are taken in the order of a hash of their id, so the choice is the same
    in every run.

    Args:
        documents: With targets.
        limit: Of documents.
        without: Ids that the base model was trained on.

    Raises:
        EmptyEvaluationError: If fewer than two are left.
    """
    ids = [row["id"] for row in documents.iter_rows("validation")]
    seen = sum(identity in without for identity in ids)
    chosen = _first_hashes((i for i in ids if i not in without), limit, "judge")
    found = [d for d in documents.iter_documents("validation") if d.id in chosen]
    if len(found) < 2:
        raise EmptyEvaluationError(
            f"{len(found)} held-out documents to judge on ({seen} were training text of the base"
            " model); at least 2 are needed, add text"
        )
    return found, seen


def learnt_documents(corpus: Corpus, checkpoint: TrainedModel, *, limit: int) -> list[Document]:
    """Documents that the best weights have really read, at most so many."""
    stream = corpus.train_stream
    read = consumed_documents(stream, list(checkpoint.consumed().ranges))
    ids = [bytes(i).decode() for i in stream.doc_ids[read]]
    chosen = _first_hashes(ids, limit, "learnt")
    return [d for d in corpus.documents.iter_documents("train") if d.id in chosen]


def _first_hashes(ids: Iterable[str], limit: int, purpose: str) -> frozenset[str]:
    def rank(identity: str) -> bytes:
        return hashlib.sha256(f"{purpose}:{identity}".encode()).digest()

    return frozenset(heapq.nsmallest(limit, ids, key=rank))


def chosen_samples(each: FloatArray, *, count: int = 3) -> list[tuple[str, int]]:
    """Places of the best, the median and the worst answers, and what they are."""
    order = np.argsort(-each, kind="stable")
    middle = max(0, len(order) // 2 - count // 2)
    places = [
        *(("best", int(i)) for i in order[:count]),
        *(("median", int(i)) for i in order[middle : middle + count]),
        *(("worst", int(i)) for i in order[::-1][:count]),
    ]
    kept: dict[int, str] = {}
    for kind, place in places:
        kept.setdefault(place, kind)
    return [(kind, place) for place, kind in kept.items()]
