"""What a task is judged with, whatever the task: its data, its weights, and the champion's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmcore.data.documents import Document
from lmcore.data.tokens.corpus import Corpus
from lmcore.data.tokens.tokenizer import load_tokenizer
from lmcore.errors import LmcoreError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.inputs import ChampionInput, TrainedModel
from lmcore.evaluation.statistics.intervals import Sums
from lmcore.tasks.gates.quality import ChampionFacts
from lmcore.tasks.judging.evidence import FloatArray, clusters, learnt_documents
from lmcore.tasks.judging.metrics import Measured
from lmcore.tasks.prediction import Predictor


@dataclass(frozen=True, kw_only=True)
class Judging:
    """One candidate and the held-out documents that it is judged on.

    Attributes:
        corpus: The data of this run; its train stream says what was consumed.
        judged: Held-out documents, in stored order.
        seen_by_base: Held-out documents left out because the base model was trained on them.
        checkpoint: The candidate.
        champion: The model in use; None for the first version.
        base: Name and version of the language model that the candidate began from.
        unaided: A version that began from random weights, if the candidate did not.
        gates: Limits.
        device: Where models run.
    """

    corpus: Corpus
    judged: Sequence[Document]
    seen_by_base: int
    checkpoint: TrainedModel
    champion: ChampionInput | None
    base: str | None
    unaided: ChampionInput | None
    gates: GatesConfig
    device: str

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
        return Predictor(self.checkpoint.path / "best", self.corpus.loaded, device=self.device)

    def trained_on(self) -> dict[str, Any]:
        """How many examples training had, how long they were, and how many were cut."""
        found: dict[str, Any] = self.checkpoint.summary.get("examples", {}).get("train", {})
        return found

    def learnt(self) -> list[Document]:
        """Documents that the candidate's weights have read."""
        return learnt_documents(
            self.corpus, self.checkpoint, limit=self.gates.tasks.max_train_documents
        )

    def rise_at_the_end(
        self, loss: Callable[[Predictor], FloatArray], *, best: FloatArray, unit: FloatArray
    ) -> Sums | None:
        """How much worse the last weights are than the best; None where they are the same.

        Args:
            loss: Nats of each judged document with the weights of a predictor, [N].
            best: The same with the candidate's, [N].
            unit: What nats are divided by, [N].
        """
        facts = self.checkpoint.summary
        if facts.get("final_weights_sha256") == facts.get("weights_sha256"):
            return None
        last = Predictor(self.checkpoint.path / "final", self.corpus.loaded, device=self.device)
        return Sums(numerator=loss(last) - best, denominator=unit, cluster=clusters(self.judged))

    def against_champion(
        self, answer: Callable[[Predictor], Measured], *, ours: Measured
    ) -> ChampionFacts | None:
        """The champion's answers of today beside the candidate's; None where there is none.

        Args:
            answer: The deciding metric over all judged documents with a predictor.
            ours: The same of the candidate.
        """
        return self._beside(self.champion, answer, ours)

    def against_unaided(
        self,
        answer: Callable[[Predictor], Measured],
        *,
        ours: Measured,
        champion: ChampionFacts | None,
    ) -> ChampionFacts | None:
        """The same of the version that began from random weights.

        Args:
            answer: As above.
            ours: As above.
            champion: What `against_champion` found, in case it is the same version.
        """
        given = self.unaided
        if given is not None and champion is not None and champion.version == given.version:
            return champion
        return self._beside(given, answer, ours)

    def _beside(
        self,
        given: ChampionInput | None,
        answer: Callable[[Predictor], Measured],
        ours: Measured,
    ) -> ChampionFacts | None:
        if given is None:
            return None
        facts: dict[str, Any] = {"version": given.version, "removed": given.removed}
        if given.problem:
            return ChampionFacts(**facts, problem=given.problem)
        try:
            theirs = answer(
                Predictor(given.weights, load_tokenizer(given.tokenizer), device=self.device)
            )
        except (LmcoreError, AssertionError) as error:
            return ChampionFacts(**facts, problem=str(error))
        rows = np.array([d.id not in given.train_ids for d in self.judged])
        if rows.sum() < 2:
            problem = "it was trained on the held-out documents of today"
            return ChampionFacts(**facts, problem=problem)
        return ChampionFacts(
            **facts,
            theirs=theirs.select(rows),
            ours=ours.select(rows),
            cluster=clusters(self.judged)[rows],
            seen=int((~rows).sum()),
        )
