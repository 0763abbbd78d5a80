"""Text on both sides of a comparison, and how a model's answers to it become tables.

In: the data, the candidate and whom it is judged beside.  Out: held-out documents, a sample of what
was consumed, and scores of a model on them.

Where validation is larger than its cap, a fixed sample is scored; beside it then stand samples
of fresh and of anchor documents, which would be rare in it and which the champion gate needs.
Where there is a budget, the counts of its plan take the place of the configured ones.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from lmcore.data.documents import Document
from lmcore.data.tokens.corpus import Corpus
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.digests import digest
from lmcore.errors import NotFiniteError
from lmcore.evaluation.budget.plan import AS_CONFIGURED, EvaluationPlan
from lmcore.evaluation.chosen import ChosenDocuments, chosen_documents, held_out
from lmcore.evaluation.config import EvaluationLimits
from lmcore.evaluation.inputs import Challenge
from lmcore.evaluation.kept_parts import KeptParts
from lmcore.evaluation.kept_scores import score_once, score_sample_once
from lmcore.evaluation.memory.consumed_text import ConsumedSample, sample_consumed
from lmcore.evaluation.memory.membership import SideNotes
from lmcore.evaluation.scores.scoring import NatsArray, OnScored
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.model.factory import load_model
from lmcore.model.language_model import LanguageModel

Progress = Callable[[str, int, int], None]


def unseen(part: str, done: int, total: int) -> None:
    """A `Progress` that nobody looks at."""


def unnoted(*_: object) -> None:
    """An `OnScored` that takes no notes."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """What one evaluation reads; it notes how long each part took.

    Attributes:
        corpus: The data of the run.
        challenge: The candidate, and what it is scored beside.
        limits: Of the evaluation.
        on_progress: Told the part, and how many of how many documents of it are done.
        plan: How much is asked, where there is a budget.
        parts: Where answers are kept.
        seconds: Of each part.
    """

    corpus: Corpus
    challenge: Challenge
    limits: EvaluationLimits
    on_progress: Progress
    plan: EvaluationPlan = AS_CONFIGURED
    parts: KeptParts = field(default_factory=KeptParts)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part, and say that it begins."""
        self.on_progress(name.replace("_", " "), 0, 0)
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 3)

    @functools.cached_property
    def chosen(self) -> ChosenDocuments:
        """The held-out documents that are scored."""
        return chosen_documents(
            self.corpus.documents,
            champion=self.challenge.champion,
            max_bytes=self.limits.max_validation_bytes,
            plan=self.plan,
        )

    @functools.cached_property
    def sample(self) -> ConsumedSample:
        """Train text that was consumed, as much as there is of validation text.

        So the gap is no surer than its less sure side.  Documents are read as far as they were
        learnt: where training took places in turn, a good part of them comes behind.
        """
        chosen = self.chosen
        if chosen.limited:
            size = chosen.configured_bytes
        else:
            rows = self.corpus.documents.iter_rows("validation")
            size = sum(row["num_bytes"] for row in rows if row["id"] in chosen.scored)
        sample = sample_consumed(
            self.corpus,
            ranges=self.challenge.checkpoint.consumed().ranges,
            max_bytes=min(self.limits.max_train_bytes, size),
            most=self.plan.limit("train_documents"),
        )
        return sample.cut()

    @functools.cached_property
    def model(self) -> LanguageModel:
        """The candidate; each further model is let go of before the next one is loaded."""
        return load_model(self.challenge.best)

    def notes(self) -> SideNotes:
        """Empty notes about one side, for `validated` and `trained`."""
        return SideNotes(self.corpus.loaded.pieces)

    def validation(self, ids: frozenset[str]) -> Iterator[Document]:
        """Held-out documents of these ids."""
        return held_out(self.corpus.documents, ids)

    def on_sample(
        self,
        name: str,
        model: LanguageModel,
        on_scored: Callable[[int, NatsArray], None],
    ) -> ScoreTable:
        """A model on the consumed text."""
        size = len(self.sample.tokens)
        return score_sample_once(
            self.parts,
            name,
            self.sample,
            model,
            on_scored=on_scored,
            on_read=lambda share: self.on_progress(name, int(share * size), size),
        )

    def score(
        self,
        part: str,
        model: LanguageModel,
        tokenizer: Tokenizer,
        ids: frozenset[str],
        *,
        on_scored: OnScored = unnoted,
    ) -> ScoreTable:
        """A model on held-out documents of these ids.

        Raises:
            NotFiniteError: If a score is none.
        """
        self.on_progress(part, 0, len(ids))
        table = score_once(
            self.parts,
            f"nats of {part} {digest(sorted(ids))}",
            model,
            tokenizer,
            lambda: self.validation(ids),
            on_progress=lambda done: self.on_progress(part, done, len(ids)),
            on_scored=on_scored,
        )
        # Before anything else is asked of a model that has no answers.
        if not np.isfinite(table.nll_nats).all():
            raise NotFiniteError(
                f"{part}: the model's scores are not finite; its weights are damaged or it diverged"
            )
        return table
