"""The budget of a task's evaluation, turned into counts of documents once.

In: the data, the candidate and what it is judged beside, the limits.  Out: an `EvaluationPlan`.  A
few held-out documents are answered, and their targets read, with the clock running; a document of
average length costs what those cost.  As for language models the counts are kept in a folder of
their own and never asked of the clock again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from lmcore.content_store import ContentStore
from lmcore.data.documents import Document
from lmcore.data.tokens.corpus import Corpus
from lmcore.data.tokens.tokenizer import load_tokenizer
from lmcore.digests import code_digest
from lmcore.errors import LmcoreError
from lmcore.evaluation.budget.plan import AS_CONFIGURED, EvaluationPlan, Part, Stage
from lmcore.evaluation.budget.probe import typical_seconds
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.inputs import Challenge, ChampionInput
from lmcore.evaluation.planning import kept_plan
from lmcore.tasks.base_model import BaseModel
from lmcore.tasks.gates.bias_pairs import MAX_TEXTS, PAIRS, TEMPLATES, sentence_pairs
from lmcore.tasks.gates.instrument import CLASSIFIED, WRITTEN
from lmcore.tasks.gates.overfitting import probabilities, target_loss
from lmcore.tasks.judging.evidence import judged_documents, learnt_documents
from lmcore.tasks.prediction import Predictor

CODE_MODULES = ("lmcore.evaluation.budget", "lmcore.evaluation.planning", "lmcore.tasks")
# An accuracy of 80 % over so many is known to +-9 points.
LEAST_DOCUMENTS = 60
_PROBED = 8
_SENTENCES = 2 * len(TEMPLATES) * len(PAIRS)
# How often the gate `instrument` reads each of its texts.
_READINGS = {True: 2, False: 5}


@dataclass(frozen=True, kw_only=True)
class TaskSpeeds:
    """Seconds of a document here.

    Attributes:
        answer: Of the candidate's answer.
        loss: Of what its target costs the candidate.
        sentence: Of the answer to a sentence of the gate `bias_task`; 0 where nobody asks it.
        champion: Of the champion's answer; None: there is none.
        unaided: Of that of a version from random weights; None likewise.
    """

    answer: float
    loss: float
    sentence: float = 0.0
    champion: float | None = None
    unaided: float | None = None


def planned_task(
    store: ContentStore,
    corpus: Corpus,
    *,
    challenge: Challenge,
    base: BaseModel | None,
    gates: GatesConfig,
) -> EvaluationPlan:
    """The plan of an evaluation of a task; without a budget all is as configured.

    Args:
        store: Where the plan is kept.
        corpus: The data of this run.
        challenge: The candidate, and what it is judged beside.
        base: The language model that training started from.
        gates: Limits.

    Raises:
        EmptyEvaluationError: If there are fewer than two documents to judge on.
    """
    if gates.evaluation.budget_seconds is None:
        return AS_CONFIGURED
    inputs = {
        "documents": corpus.documents.key,
        "tokenizer": corpus.tokenizer.key,
        "shards": corpus.shards.key,
        **challenge.inputs(corpus.documents),
        "base": None if base is None else base.key,
        "gates": gates.model_dump(mode="json"),
        "code": code_digest(*CODE_MODULES),
    }

    def make() -> EvaluationPlan:
        started = time.perf_counter()
        judged, _ = judged_documents(
            corpus.documents,
            limit=gates.tasks.max_validation_documents,
            without=base.train_ids if base else frozenset(),
        )
        learnt = learnt_documents(
            corpus, challenge.checkpoint, limit=gates.tasks.max_train_documents
        )
        speeds = measure_task(challenge, corpus, judged[:_PROBED])
        return plan_task(
            gates,
            speeds,
            judged=len(judged),
            learnt=len(learnt),
            last=challenge.last is not None,
            probe_seconds=time.perf_counter() - started,
        )

    return kept_plan(store, inputs, make)


def plan_task(
    gates: GatesConfig,
    speeds: TaskSpeeds,
    *,
    judged: int,
    learnt: int,
    last: bool,
    probe_seconds: float = 0.0,
) -> EvaluationPlan:
    """Turn the budget of the limits into counts; a pure function.

    Args:
        gates: With a budget.
        speeds: Seconds of a document.
        judged: Held-out documents that would be judged on without a budget.
        learnt: Documents that were learnt from, likewise.
        last: Whether the last weights are others than the best.
        probe_seconds: That measuring the speeds took.
    """
    budget = gates.evaluation.budget_seconds
    assert budget is not None
    chooses = speeds.sentence > 0
    # A writer is asked what the targets cost beside writing; a classifier's answer says both.
    loss = 0.0 if chooses else speeds.loss
    each = speeds.answer + loss + last * speeds.loss
    each += (speeds.champion or 0.0) + (speeds.unaided or 0.0)
    texts = CLASSIFIED if chooses else WRITTEN

    def held_out(count: int) -> float:
        exchanged = 2 * min(count, MAX_TEXTS) * speeds.answer if chooses else 0.0
        return count * each + exchanged

    fixed = texts * _READINGS[chooses] * speeds.loss + _SENTENCES * speeds.sentence
    parts = {
        "validation_documents": Part(
            title="held-out documents", most=judged, seconds=held_out, floor=2
        ),
        "train_documents": Part(
            title="documents that it learnt from",
            most=learnt,
            seconds=lambda count: count * speeds.loss,
            floor=2,
        ),
        "instrument_texts": Part(
            title="texts for the instrument",
            most=texts,
            seconds=lambda count: fixed if count else 0.0,
            floor=texts,
        ),
    }
    stages = [
        Stage(gate=gate, part=part, least=LEAST_DOCUMENTS)
        for gate, part in (
            ("competence", "validation_documents"),
            ("champion", "validation_documents"),
            ("overfitting", "validation_documents"),
            ("overfitting", "train_documents"),
        )
    ]
    return EvaluationPlan.of(
        parts,
        stages,
        budget_seconds=budget,
        probe_seconds=probe_seconds,
        speeds={name: value for name, value in asdict(speeds).items() if value is not None},
    )


def measure_task(challenge: Challenge, corpus: Corpus, documents: Sequence[Document]) -> TaskSpeeds:
    """Time the candidate and the versions beside it.

    Args:
        challenge: Where their files are.
        corpus: With the candidate's tokenizer.
        documents: At least one, with its target.
    """
    candidate = Predictor(challenge.best, corpus.loaded)
    sentence = 0.0
    if candidate.record.kind.chooses_label:
        sentences = [text for pair in sentence_pairs()[: len(documents)] for text in pair]
        sentence = _each(sentences, lambda: candidate.predict(sentences))
        loss = _each(documents, lambda: probabilities(candidate, documents))
    else:
        loss = _each(documents, lambda: target_loss(candidate, documents))
    return TaskSpeeds(
        answer=_answering(candidate, documents),
        loss=loss,
        sentence=sentence,
        champion=_beside(challenge.champion, documents),
        unaided=_beside(_another(challenge), documents),
    )


def _another(challenge: Challenge) -> ChampionInput | None:
    """The version from random weights, where it is not the champion, which answers once."""
    champion, unaided = challenge.champion, challenge.unaided
    same = champion is not None and unaided is not None and champion.version == unaided.version
    return None if same else unaided


def _beside(given: ChampionInput | None, documents: Sequence[Document]) -> float | None:
    """Of another version; None where there is none, or it cannot answer: its gate says why."""
    if given is None or given.problem:
        return None
    try:
        other = Predictor(given.weights, load_tokenizer(given.tokenizer))
        return _answering(other, documents)
    except (LmcoreError, AssertionError):
        return None


def _answering(predictor: Predictor, documents: Sequence[Document]) -> float:
    texts = [document.text for document in documents]
    return _each(texts, lambda: predictor.predict(texts))


def _each(things: Sequence[object], work: Callable[[], object]) -> float:
    return typical_seconds(work) / max(1, len(things))
