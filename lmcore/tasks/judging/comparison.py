"""What a task is judged with, whatever the task: its data, its weights, and the champion's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lmcore.data.documents import Document
from lmcore.data.tokens.corpus import Corpus
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.champion import Incumbent
from lmcore.evaluation.inputs import ChampionInput, TrainedModel
from lmcore.evaluation.statistics.measured import Measured
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.tasks.gates.champion import version_beside
from lmcore.tasks.judging.evidence import learnt_documents
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

    @property
    def resampling(self) -> Resampling:
        """Of whatever is shown and not judged."""
        return Resampling(resamples=self.gates.evaluation.resamples)

    @property
    def stopped_early(self) -> bool:
        """Whether training ended because it had stopped helping."""
        return bool(self.checkpoint.summary.get("stopped_early"))

    def champion_metric(self, incumbent: Incumbent | None) -> dict[str, Measured]:
        """The champion's deciding metric by its name, where all documents are new to it."""
        if incumbent is None or incumbent.measured is None:
            return {}
        if any(d.id in incumbent.train_ids for d in self.judged):
            return {}
        return {f"champion_{incumbent.measured.metric.name}": incumbent.measured}

    def trained_on(self) -> dict[str, Any]:
        """How many examples training had, how long they were, and how many were cut."""
        found: dict[str, Any] = self.checkpoint.summary.get("examples", {}).get("train", {})
        return found

    def learnt(self) -> list[Document]:
        """Documents that the candidate's weights have read."""
        return learnt_documents(
            self.corpus, self.checkpoint, limit=self.gates.tasks.max_train_documents
        )

    def last(self) -> Predictor | None:
        """The weights at the end of training; None where they are the best ones."""
        facts = self.checkpoint.summary
        if facts.get("final_weights_sha256") == facts.get("weights_sha256"):
            return None
        return Predictor(self.checkpoint.path / "final", self.corpus.loaded, device=self.device)

    def beside(
        self, measure: Callable[[Predictor], Measured]
    ) -> tuple[Incumbent | None, Incumbent | None]:
        """The champion, and the version from random weights, by what they answer today.

        Args:
            measure: The deciding metric over all judged documents with a predictor.
        """
        champion = version_beside(self.champion, measure, device=self.device)
        if champion and self.unaided and champion.version == self.unaided.version:
            return champion, champion
        return champion, version_beside(self.unaided, measure, device=self.device)
