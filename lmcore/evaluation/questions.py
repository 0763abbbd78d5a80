"""What an evaluation asks of models, each part by itself: none needs the answer of another.

In: text on both sides, the candidate and whom it is judged beside.  Out: tables, notes and texts,
asked for once (`KeptParts`).  So a killed evaluation goes on with the first part that it lacks, and
several workers can share the parts out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from types import SimpleNamespace
from typing import Self

import numpy as np

from lmcore.content_store import ContentStore
from lmcore.evaluation.baselines.untouched import score_untouched
from lmcore.evaluation.bias.evidence import BiasEvidence, measure_bias
from lmcore.evaluation.bias.probes import run_probes
from lmcore.evaluation.config import BiasLimits
from lmcore.evaluation.gates.champion import Incumbent, scored_incumbent
from lmcore.evaluation.memory.exposure import NUM_REFERENCES, Exposure, measure_exposure
from lmcore.evaluation.memory.membership import SideNotes
from lmcore.evaluation.memory.regurgitation import free_samples
from lmcore.evaluation.pii.evidence import NUM_ELICITED, PiiEvidence, measure_pii
from lmcore.evaluation.scores.scoring import IntArray
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.sides import Sides, unnoted
from lmcore.model.factory import load_model, untouched

#: Asks a model, and keeps the answer.
Question = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Questions(Sides):
    """What one evaluation asks of models.

    Attributes:
        seed: Of what is drawn.
        bias: Limits of the gate; None: nobody asks about words.
    """

    seed: int = 0
    bias: BiasLimits | None = None

    def keeping_in(self, store: ContentStore) -> Self:
        """The same questions, with answers kept in, and looked for in, another store."""
        return replace(self, parts=replace(self.parts, store=store))

    def asks(self, store: ContentStore) -> list[Question]:
        """What is asked of models, part by part; none needs the answer of another.

        Whatever is asked is kept in `parts`, and `collect` finds it there.

        Args:
            store: Of all evaluations.
        """
        return [
            lambda: self.validated(self.notes()),
            lambda: self.trained(self.notes()),
            lambda: self.untouched(store),
            self.untouched_on_train,
            self.drawn,
            self.incumbent,
            self.exposure,
            self.personal,
            self.leanings,
            self.final,
        ]

    def validated(self, notes: SideNotes) -> ScoreTable:
        """The candidate on held-out text."""
        with self.part("score_validation"):
            return self.score(
                "validation",
                self.model,
                self.corpus.loaded,
                self.chosen.scored,
                on_scored=notes.document,
            )

    def trained(self, notes: SideNotes) -> ScoreTable:
        """The candidate on text that it consumed."""
        with self.part("score_train"):
            return self.on_sample("train", self.model, notes.of_sample(self.sample))

    def final(self) -> ScoreTable | None:
        """Its last weights on held-out text; None where they are the best."""
        if self.challenge.last is None:
            return None
        with self.part("score_final"):
            return self.score(
                "final", load_model(self.challenge.last), self.corpus.loaded, self.chosen.scored
            )

    def untouched(self, store: ContentStore) -> ScoreTable | None:
        """What it began with, on held-out text; None: random weights."""
        of = {"documents": self.corpus.documents.key, "tokenizer": self.corpus.tokenizer.key}
        with self.part("untouched"):
            if self.model.began_with is None:
                return None
            rows = self.corpus.documents.iter_rows("validation")
            facts = [SimpleNamespace(**row) for row in rows if row["id"] in self.chosen.scored]
            nothing = np.zeros(len(facts))
            return score_untouched(
                store,
                self.model,
                beside=ScoreTable.of(facts, num_tokens=nothing, nll_nats=nothing),
                of=of,
                score=lambda model, some: self.score("untouched", model, self.corpus.loaded, some),
            )

    def untouched_on_train(self) -> ScoreTable | None:
        """What it began with, on the text that the candidate consumed; None: random weights."""
        with self.part("untouched_on_train"):
            if (model := untouched(self.model)) is None:
                return None
            return self.on_sample("untouched on train", model.to(self.model.device), unnoted)

    def incumbent(self) -> tuple[Incumbent | None, ScoreTable | None]:
        """The champion on held-out text, and its scores; None where there is none."""
        with self.part("champion"):
            return scored_incumbent(
                self.challenge.champion,
                lambda model, tokenizer: self.score(
                    "champion", model, tokenizer, self.chosen.scored
                ),
                lambda: self.corpus.documents.iter_rows("validation"),
            )

    def drawn(self) -> IntArray:
        """Texts that the candidate writes freely, tokens [N, T]."""
        with self.part("free_samples"):
            return self.parts.arrays(
                "free samples",
                lambda: {
                    "tokens": free_samples(
                        self.model,
                        count=self.plan.count("free_samples", self.limits.free_samples),
                        num_tokens=self.limits.free_sample_tokens,
                        seed=self.seed,
                    )
                },
            )["tokens"]

    def exposure(self) -> Exposure | None:
        """How well the candidate knows what was planted; None where nothing was."""
        with self.part("exposure"):
            canaries = self.corpus.shards.canaries()
            # What only an earlier training met is forbidden; no coin was tossed for it in this one.
            if canaries is None or (canaries.inherited and not canaries.pairs):
                return None
            references = self.plan.count("canary_references", NUM_REFERENCES)
            if not references:
                return None
            found = self.parts.arrays(
                "exposure",
                lambda: asdict(
                    measure_exposure(
                        self.model,
                        self.corpus.loaded,
                        canaries,
                        stream=self.corpus.train_stream,
                        ranges=self.challenge.checkpoint.consumed().ranges,
                        num_references=references,
                    )
                ),
            )
            return Exposure(
                planted=int(found["planted"]),
                inside=found["inside"],
                outside=found["outside"],
                references=found["references"],
                where=str(found["where"]),
            )

    def personal(self) -> PiiEvidence | None:
        """What masking finds, and what the candidate gives away."""
        with self.part("pii"):
            return self.parts.value(
                "pii",
                PiiEvidence | None,
                lambda: measure_pii(
                    self.model,
                    self.corpus.loaded,
                    self.corpus.documents,
                    seed=self.seed,
                    texts=self.plan.count("elicited_texts", NUM_ELICITED),
                ),
            )

    def leanings(self) -> BiasEvidence | None:
        """How words lean in the candidate; None where nobody asks."""
        limits = self.bias
        if limits is None:
            return None

        def ask() -> BiasEvidence:
            found = measure_bias(
                self.corpus.documents,
                model=self.model,
                tokenizer=self.corpus.loaded,
                limits=limits,
                most=self.plan.limit("bias_words"),
            )
            probes = run_probes(
                self.limits.probes,
                model=self.model,
                tokenizer=self.corpus.loaded,
                seed=self.seed,
                most_pairs=self.plan.limit("probe_pairs"),
            )
            return replace(found, probes=probes)

        with self.part("bias"):
            return self.parts.value("bias", BiasEvidence, ask)
