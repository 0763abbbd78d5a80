"""What a task is judged with, whatever the task: its data, its weights, and the champion's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lmcore.data.documents import Document
from lmcore.data.tokens.corpus import Corpus
from lmcore.evaluation.budget.plan import AS_CONFIGURED, EvaluationPlan
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.champion import Incumbent
from lmcore.evaluation.inputs import Challenge
from lmcore.evaluation.sides import Progress, unseen
from lmcore.evaluation.statistics.measured import Measured
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.tasks.gates.champion import version_beside
from lmcore.tasks.judging.evidence import learnt_documents
from lmcore.tasks.learning.class_scores import OnAnswered
from lmcore.tasks.prediction import Predictor


@dataclass(frozen=True, kw_only=True)
class Judging:
    """One candidate and the held-out documents that it is judged on.

    Attributes:
        corpus: The data of this run; its train stream says what was consumed.
        judged: Held-out documents, in stored order.
        seen_by_base: Held-out documents left out because the base model was trained on them.
        challenge: The candidate, and what it is judged beside.
        base: Name and version of the language model that the candidate began from.
        gates: Limits.
        plan: How much is asked of the models.
        on_progress: Told the part, and how many of how many documents of it are done.
    """

    corpus: Corpus
    judged: Sequence[Document]
    seen_by_base: int
    challenge: Challenge
    base: str | None
    gates: GatesConfig
    plan: EvaluationPlan = AS_CONFIGURED
    on_progress: Progress = unseen

    def begins(self, part: str) -> OnAnswered:
        """Tell that a part begins; returns what is told how many of its documents are done."""
        self.on_progress(part, 0, len(self.judged))
        return lambda done: self.on_progress(part, done, len(self.judged))

    @property
    def tokenizer_split(self) -> str:
        """What the tokenizer was fitted on."""
        return str(self.corpus.tokenizer.summary.get("split"))

    @property
    def texts(self) -> list[str]:
        """Of the judged documents."""
        return [document.text for document in self.judged]

    def candidate(self) -> Predictor:
        """With the weights that would be promoted."""
        return Predictor(self.challenge.best, self.corpus.loaded)

    @property
    def resampling(self) -> Resampling:
        """Of whatever is shown and not judged."""
        return Resampling(resamples=self.gates.evaluation.resamples)

    def champion_metric(self, incumbent: Incumbent | None) -> dict[str, Measured]:
        """The champion's deciding metric by its name, where all documents are new to it."""
        if incumbent is None or incumbent.measured is None:
            return {}
        if any(d.id in incumbent.train_ids for d in self.judged):
            return {}
        return {f"champion_{incumbent.measured.metric.name}": incumbent.measured}

    def trained_on(self) -> dict[str, Any]:
        """How many examples training had, how long they were, and how many were cut."""
        facts = self.challenge.checkpoint.summary
        found: dict[str, Any] = facts.get("examples", {}).get("train", {})
        return found

    def learnt(self) -> list[Document]:
        """Documents that the candidate's weights have read."""
        most = self.plan.count("train_documents", self.gates.tasks.max_train_documents)
        return learnt_documents(self.corpus, self.challenge.checkpoint, limit=most)

    def last(self) -> Predictor | None:
        """The weights at the end of training; None where they are the best ones."""
        weights = self.challenge.last
        return None if weights is None else Predictor(weights, self.corpus.loaded)

    def beside(
        self, measure: Callable[[Predictor], Measured]
    ) -> tuple[Incumbent | None, Incumbent | None]:
        """The champion, and the version from random weights, by what they answer today.

        Args:
            measure: The deciding metric over all judged documents with a predictor.
        """
        unaided = self.challenge.unaided
        champion = version_beside(self.challenge.champion, measure)
        if champion and unaided and champion.version == unaided.version:
            return champion, champion
        return champion, version_beside(unaided, measure)
