"""What the gates are told: every score, and what else was measured, of one evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lmcore.data.documents import Document
from lmcore.evaluation.bias.evidence import BiasEvidence
from lmcore.evaluation.budget.plan import AS_CONFIGURED, EvaluationPlan
from lmcore.evaluation.gates.champion import Incumbent
from lmcore.evaluation.gates.data_sufficiency import CurvePoint
from lmcore.evaluation.memory.contamination import Contamination
from lmcore.evaluation.memory.difficulty_reference import Reference
from lmcore.evaluation.memory.exposure import Exposure
from lmcore.evaluation.memory.membership import Membership
from lmcore.evaluation.memory.regurgitation import Regurgitation
from lmcore.evaluation.pii.evidence import PiiEvidence
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.unread import Unread
from lmcore.model.language_model import LanguageModel


@dataclass(frozen=True, kw_only=True)
class Memorisation:
    """What the model remembers of text that it consumed; each part is the evidence of one gate."""

    membership: Membership
    regurgitation: Regurgitation
    exposure: Exposure | None
    contamination: Contamination


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was scored.

    Attributes:
        model: The candidate's best weights, in evaluation mode.
        validation: The candidate on the documents that metrics are over.
        compared: The candidate on all that was scored: beside these, where validation was
            sampled, further fresh and anchor documents for the champion gate.
        train: The candidate on consumed train text.
        final: Its last weights on `compared`; None where they are the best.
        reference: The overfitting gate's reference on `compared` and `train`: n-grams, or what
            the candidate began with.
        baselines: The n-grams by order on the documents of `validation`.
        unread: Held-out text that what the candidate began with cannot have read; None: random
            weights.
        untouched: What the candidate began with, on `compared`; None: random weights.
        champion: The champion on `compared`; None where there is none.
        champion_table: Its scores; None where it could not be scored either.
        texts: Some of the scored documents, for probes and prompts.
        curve: Models on ever more text and the candidate; None where no others were trained.
        pii: What masking finds, and what the model gives away; None: not measured.
        bias: How words lean in the train text and in the model; None: not measured.
        memorisation: What the model remembers, and what validation gives away.
        plan: How much was asked of the models.
    """

    model: LanguageModel
    validation: ScoreTable
    compared: ScoreTable
    train: ScoreTable
    final: ScoreTable | None
    reference: Reference
    baselines: Mapping[int, ScoreTable]
    untouched: ScoreTable | None = None
    unread: Unread | None = None
    champion: Incumbent | None
    champion_table: ScoreTable | None
    texts: Sequence[Document]
    curve: Sequence[CurvePoint] | None = None
    pii: PiiEvidence | None = None
    bias: BiasEvidence | None = None
    memorisation: Memorisation
    plan: EvaluationPlan = AS_CONFIGURED

    @property
    def unread_by_either(self) -> Unread | None:
        """What neither the candidate's base nor the champion's can have read; None: no base."""
        theirs = self.champion.unread if self.champion else None
        return theirs if self.unread is None else self.unread.by(theirs)

    def tables(self) -> dict[str, ScoreTable]:
        """Every table under the name of its file."""
        found = {
            "validation": self.compared,
            "train": self.train,
            "final": self.final,
            "champion": self.champion_table,
            "untouched": self.untouched,
            "reference-train": self.reference.train,
            "reference-validation": self.reference.validation,
            **{f"kn{order}": table for order, table in self.baselines.items()},
        }
        return {name: table for name, table in found.items() if table is not None}
