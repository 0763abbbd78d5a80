"""What an evaluation counts in text, each part by itself: no model is asked.

In: the data, held-out documents and what was learnt of the rest.  Out: scores of n-grams, an index
of the training text, and what of the held-out text stands in it.

Each takes one core, and a model that reads its longest documents leaves the others idle.  So where
there is much text a process beside counts while the model is asked (`Beside`), and makes what later
steps need of the text.  It only fills places where others look: whoever asks for a part waits if
that is being made, finds it if it is there, and else makes it, so nothing depends on how far that
process came.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from lmcore.content_store import ContentStore
from lmcore.data.documents import Document
from lmcore.data.tokens.corpus import Corpus
from lmcore.errors import SourceError
from lmcore.evaluation.baselines.baselines import BaselineReport, fit_baselines
from lmcore.evaluation.chosen import held_out
from lmcore.evaluation.config import EvaluationLimits
from lmcore.evaluation.kept_parts import Arrays, KeptParts, joined, split
from lmcore.evaluation.memory.consumed_text import ConsumedSample
from lmcore.evaluation.memory.contamination import Contamination, measure_contamination
from lmcore.evaluation.memory.difficulty_reference import Reference, score_reference
from lmcore.evaluation.memory.suffix_array import TrainIndex, train_index
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.worker_processes import worker_processes

#: Makes what another step looks for.
Later = Callable[[], object]
#: Bytes of training text below which a process more costs what it saves.
WORTH_BYTES = 4 << 20
# It runs where nobody else would: cores that a model reads on are not to be shared with it.
_NICENESS = 10
# Between two looks whether somebody asked to stop.
_SECONDS = 0.5
_SIDES = ("validation", "train")
_NATS = "nats.npz"


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What one evaluation counts.

    Attributes:
        corpus: The data of the run.
        limits: Of the evaluation.
        scored: Held-out documents that are scored.
        configured: Those that would be without a budget; as no model is asked, none leaves any out.
        sample: Train text that was consumed.
        store: Of all evaluations, for what the next one on the same data needs too.
        parts: Where the rest is kept.
    """

    corpus: Corpus
    limits: EvaluationLimits
    scored: frozenset[str]
    configured: frozenset[str]
    sample: ConsumedSample
    store: ContentStore
    parts: KeptParts

    def baseline(self) -> BaselineReport:
        """The n-grams that a candidate has to beat, on held-out text."""
        return fit_baselines(
            self.store,
            self.corpus.documents,
            max_train_bytes=self.limits.max_baseline_bytes,
            max_validation_bytes=self.limits.max_validation_bytes,
        )

    def reference(self) -> Reference:
        """How hard the text of both sides is for n-grams that know neither."""

        def ask() -> Reference:
            return score_reference(
                self.corpus.documents,
                sample=self.sample,
                validation=self._validation(self.scored),
                max_bytes=self.limits.max_baseline_bytes,
            )

        return self.parts.once("reference", ask, _write_reference, _read_reference)

    def index(self) -> TrainIndex:
        """Where tokens stand in the training text."""
        return train_index(self.store, self.corpus.shards)

    def contamination(self) -> Contamination:
        """What of the held-out text stands in the training text."""

        def ask() -> Arrays:
            found = measure_contamination(
                self.corpus.documents,
                validation=self._validation(self.scored | self.configured),
                common_documents=self.limits.common_documents,
            )
            return {field.name: _plain(getattr(found, field.name)) for field in fields(found)}

        kept = self.parts.arrays("contamination", ask)
        return Contamination(**{name: _python(values) for name, values in kept.items()})

    def _validation(self, ids: frozenset[str]) -> Iterator[Document]:
        return held_out(self.corpus.documents, ids)


class Beside:
    """What a process beside makes, while models are asked.

    Attributes:
        counts: What is counted.

    Args:
        counts: The part that is asked for last comes first.
        later: What other steps ask for: made behind it, and each can be pickled.
    """

    def __init__(self, counts: Counts, *later: Later) -> None:
        self.counts, self._later = counts, later
        self._going: list[Future[None]] = []

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Inside, the process works; with one core, or little text, there is none."""
        if not self._worth_it():
            yield
            return
        with worker_processes(1, _begin, ended=_ended) as beside:
            self._going = [beside.submit(_count, self.counts, self._later)]
            yield

    def finish(self) -> None:
        """Wait until all is made: who would need it next would wait no less."""
        # Nobody asks what came of it: who needs a part that is missing meets the same error.
        while wait(self._going, timeout=_SECONDS).not_done:
            pass

    def _worth_it(self) -> bool:
        counts = self.counts
        several, keeps = len(os.sched_getaffinity(0)) > 1, counts.parts.store is not None
        return several and keeps and counts.corpus.train_stream.num_bytes >= WORTH_BYTES


def _begin() -> None:
    os.nice(_NICENESS)


def _count(counts: Counts, later: Sequence[Later]) -> None:
    for make in (
        *(counts.contamination, counts.index, counts.reference, counts.baseline),
        *later,
    ):
        make()


def _ended(why: str) -> SourceError:
    return SourceError(
        "a process that counted text was ended from outside (the system does that when memory is"
        f" short); what it had finished is kept, and the same command goes on ({why})"
    )


def _write_reference(folder: Path, found: Reference) -> None:
    nats = dict[str, Any]()
    for side in _SIDES:
        getattr(found, side).to_parquet(folder / f"{side}.parquet")
        for name, values in joined("nats", getattr(found, f"{side}_nats")).items():
            nats[f"{side}_{name}"] = values
    np.savez(folder / _NATS, allow_pickle=False, **nats)


def _read_reference(folder: Path) -> Reference:
    tables: dict[str, Any] = {
        side: ScoreTable.from_parquet(folder / f"{side}.parquet") for side in _SIDES
    }
    with np.load(folder / _NATS, allow_pickle=False) as file:
        each: dict[str, Any] = {
            f"{side}_nats": split(
                "nats", {name: file[f"{side}_{name}"] for name in ("nats", "lengths")}
            )
            for side in _SIDES
        }
    return Reference(**tables, **each)


def _plain(values: Any) -> Any:
    """An array that is kept without pickles."""
    found = np.asarray(values)
    return found.astype(np.str_) if found.dtype == object else found


def _python(values: Any) -> Any:
    """What `_plain` was given."""
    if not values.ndim:
        return values.item()
    return values.astype(object) if values.dtype.kind == "U" else values
