"""Score fresh documents with the champion, and put drift and its circumstances together.

In come today's documents, the champion's model, tokenizer, lineage rows and stored validation
scores; out comes a `Monitoring`.  Fresh is what neither by its id nor by its cluster of near-copies
is among the documents of the champion's data, on whichever side of the split it stands today: the
champion has learnt from none of it.

Part of the reference is scored again beside it.  Where that gives other numbers than the stored
ones (another machine, another library), the reference is no scale to measure by, and the answer is
INCONCLUSIVE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from lmcore.counted import counted, named
from lmcore.data.documents import Document, DocumentSet
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.drift.config import MonitorConfig
from lmcore.evaluation.drift.drift import (
    Compared,
    compare_tokens_per_byte,
    find_arrivals,
    judge_drift,
)
from lmcore.evaluation.drift.monitoring import Monitoring
from lmcore.evaluation.drift.text_shift import (
    compare_lengths,
    compare_unseen_words,
    unseen_bytes,
    words_of,
)
from lmcore.evaluation.scores.scoring import score_documents
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.intervals import Interval
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.evaluation.statistics.sampling import sampled_ids
from lmcore.model.language_model import LanguageModel

Progress = Callable[[int], None]
_TRAINED = ("train", "tune")


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The champion, and what its version folder says of its data.

    Attributes:
        model: In evaluation mode.
        tokenizer: Its own.
        rows: `id`, `cluster`, `split` and `num_bytes` of all documents of its data.
        reference: Its stored scores of its validation documents.
    """

    model: LanguageModel
    tokenizer: Tokenizer
    rows: Sequence[Mapping[str, Any]]
    reference: ScoreTable


def monitor_documents(
    documents: DocumentSet,
    watched: Watched,
    *,
    limits: MonitorConfig,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> Monitoring:
    """Score what is fresh and compare it with the champion's reference.

    Args:
        documents: Today's documents, prepared as for a training.
        watched: The champion.
        limits: What is tolerated, and how much is scored.
        seed: Of the bootstraps.
        on_progress: Told the number of documents that are scored.

    Raises:
        EmptyEvaluationError: If the reference holds fewer than two clusters, or a score is not
            finite.
    """
    reference, resampling = watched.reference, Resampling(seed=seed, resamples=limits.resamples)
    if len(set(reference.cluster)) < 2:
        raise EmptyEvaluationError(
            f"the champion's stored validation scores hold {counted(len(reference), 'document')};"
            " at least 2 are needed to measure drift against. Train it again with more validation"
            " text"
        )
    arrivals = find_arrivals(
        documents.iter_rows(),
        ids={str(row["id"]) for row in watched.rows},
        clusters={str(row["cluster"]) for row in watched.rows},
    )
    fresh = sampled_ids(
        ({"id": i, "num_bytes": size} for i, size in arrivals.fresh.items()),
        max_bytes=limits.max_fresh_bytes,
        purpose="monitor",
    )
    held = set(map(str, reference.id))
    check = sampled_ids(
        (row for row in documents.iter_rows() if row["id"] in held),
        max_bytes=limits.max_check_bytes,
        purpose="check",
    )
    table = score_documents(
        watched.model,
        watched.tokenizer,
        _those(documents, fresh | check),
        on_progress=on_progress,
    )
    ours = table.select(table.isin(fresh))
    drift = judge_drift(ours, reference, limits=limits, seed=seed)
    again = table.select(table.isin(check))
    checked = _check(again, reference, resampling=resampling)
    if checked is not None and _is_off(checked, limits):
        drift = replace(
            drift,
            outcome="INCONCLUSIVE",
            documents_needed=None,
            reason=(
                f"Scored again, {counted(len(again), 'document')} of the champion's reference"
                f" {named(len(again), 'differs', 'differ')} by {checked.value:+.4f} bits per byte"
                f" from its stored scores (allowed {limits.max_check_difference_bits_per_byte:g}),"
                " so they are no scale for fresh text: the machine or a library has changed."
                " Retrain, and compare with that."
            ),
        )
    return Monitoring(
        drift=drift,
        arrivals=arrivals,
        scored=len(ours),
        check_documents=len(again),
        check=checked,
        tokens_per_byte=None
        if drift.compared is None
        else compare_tokens_per_byte(ours, reference, resampling=resampling),
        unseen_words=_unseen(documents, watched, fresh=fresh, limits=limits, resampling=resampling),
        lengths=compare_lengths(
            list(arrivals.fresh.values()),
            [row["num_bytes"] for row in watched.rows if row["split"] != "excluded"],
        )
        if arrivals.fresh
        else None,
    )


def _check(again: ScoreTable, reference: ScoreTable, *, resampling: Resampling) -> Interval | None:
    if len(set(again.cluster)) < 2:
        return None
    then = reference.select(reference.isin(set(again.id)))
    return again.paired_difference(then, resampling=resampling)


def _is_off(difference: Interval, limits: MonitorConfig) -> bool:
    allowed = limits.max_check_difference_bits_per_byte
    return not -allowed <= difference.value <= allowed


def _unseen(
    documents: DocumentSet,
    watched: Watched,
    *,
    fresh: AbstractSet[str],
    limits: MonitorConfig,
    resampling: Resampling,
) -> Compared | None:
    """Words that the champion's training text did not hold, in fresh and in held-out text."""
    trained = {str(row["id"]) for row in watched.rows if row["split"] in _TRAINED}
    sample = sampled_ids(
        (row for row in documents.iter_rows() if row["id"] in trained),
        max_bytes=limits.max_vocabulary_bytes,
        purpose="words",
    )
    if not sample or not fresh:
        return None
    known: set[str] = set()
    for document in _those(documents, sample):
        known.update(words_of(document.text))
    held = frozenset(map(str, watched.reference.id))
    return compare_unseen_words(
        _counted(_those(documents, fresh), known),
        _counted(_those(documents, held), known),
        resampling=resampling,
    )


def _counted(documents: Iterable[Document], known: set[str]) -> Iterator[tuple[int, int, str]]:
    for document in documents:
        yield (*unseen_bytes(document.text, known), document.cluster)


def _those(documents: DocumentSet, ids: AbstractSet[str]) -> Iterator[Document]:
    return (document for document in documents.iter_documents() if document.id in ids)
