"""Every score that the gates need, gathered once.

In come the documents and the models, out comes `Evidence`: tables, and a few texts for probes.
The champion is scored again here, on the same documents and with its own tokenizer, because a
number from another day is no comparison.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lmcore.content_store import ContentStore
from lmcore.evaluation.baselines.baselines import ORDERS
from lmcore.evaluation.chosen import ChosenDocuments
from lmcore.evaluation.counts import Beside, Counts
from lmcore.evaluation.gates.data_sufficiency import CurvePoint
from lmcore.evaluation.gates.instrument import TEXT_DOCUMENTS
from lmcore.evaluation.gathered import Evidence, Memorisation
from lmcore.evaluation.memory.difficulty_reference import Reference
from lmcore.evaluation.memory.membership import membership_of
from lmcore.evaluation.memory.regurgitation import Regurgitation, verbatim
from lmcore.evaluation.questions import Questions
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.unread import Unread
from lmcore.model.factory import load_model


@dataclass(frozen=True, kw_only=True)
class Collector(Questions):
    """Gathers the evidence of one evaluation."""

    def collect(self, store: ContentStore, beside: Beside | None = None) -> Evidence:
        """Score everything; the n-gram baseline is kept in the store of its own.

        Args:
            store: Of all evaluations.
            beside: A process that counts meanwhile, where there is one.
        """
        beside = beside or Beside(self.counts(store))
        counts = beside.counts
        unseen, seen = self.notes(), self.notes()
        compared = self.validated(unseen)
        train = self.trained(seen)
        final = self.final()
        beginning, beginning_on_train = self.untouched(store), self.untouched_on_train()
        drawn, exposure = self.drawn(), self.exposure()
        champion, champion_table = self.incumbent()
        personal = self.personal()
        bias = self.leanings()
        with self.part("data_sufficiency"):
            curve = self._curve(compared, self.chosen.scored)
        with self.part("baseline"):
            baseline = counts.baseline()
        with self.part("reference"):
            counted = counts.reference()
        with self.part("train_index"):
            index = counts.index()
        with self.part("contamination"):
            contamination = counts.contamination()
        with self.part("later_steps"):
            beside.finish()
        longest, examples = verbatim(drawn, index, pieces=self.corpus.loaded.pieces)
        memorisation = Memorisation(
            membership=membership_of(seen, unseen, counted),
            regurgitation=Regurgitation(
                train=seen.windows.windows(),
                held_out=unseen.windows.windows(),
                longest=longest,
                examples=examples,
            ),
            exposure=exposure,
            contamination=contamination,
        )
        return Evidence(
            model=self.model,
            validation=compared.select(compared.isin(self.chosen.uniform)),
            compared=compared,
            train=train,
            final=final,
            reference=_closest(counted, beginning, beginning_on_train),
            baselines={order: _rows(baseline.scores(order), self.chosen) for order in ORDERS},
            untouched=beginning,
            unread=self._unread(),
            champion=champion,
            champion_table=champion_table,
            texts=list(itertools.islice(self.validation(self.chosen.scored), TEXT_DOCUMENTS)),
            curve=curve,
            pii=personal,
            bias=bias,
            memorisation=memorisation,
            plan=self.plan,
        )

    def counts(self, store: ContentStore) -> Counts:
        """What is counted; what no other evaluation needs is kept in this home alone.

        Args:
            store: Of all evaluations.
        """
        parts = self.parts
        if parts.store is not None:
            parts = replace(parts, store=ContentStore(parts.store.root))
        return Counts(
            corpus=replace(self.corpus),
            limits=self.limits,
            scored=self.chosen.scored,
            configured=self.chosen.configured,
            sample=self.sample,
            store=store,
            parts=parts,
        )

    def _unread(self) -> Unread | None:
        if self.model.began_with is None:
            return None
        rows = self.corpus.documents.iter_rows("validation")
        return Unread.of(rows, known_until=self.model.known_until)

    def _curve(self, compared: ScoreTable, scored: frozenset[str]) -> Sequence[CurvePoint] | None:
        if not self.challenge.parts:
            return None
        smaller = [
            CurvePoint(
                share=part.share,
                train_bytes=part.train_bytes,
                table=self.score(
                    f"{part.share:.0%} of the text",
                    load_model(part.checkpoint.path / "best"),
                    self.corpus.loaded,
                    scored,
                ),
            )
            for part in self.challenge.parts
        ]
        size = self.corpus.documents.num_bytes("train")
        return [*smaller, CurvePoint(share=1.0, train_bytes=size, table=compared)]


def _closest(
    counted: Reference, validation: ScoreTable | None, train: ScoreTable | None
) -> Reference:
    """What says best how hard text is for a candidate: what it began with, where that knew text.

    It shares nearly all of its opinion with the candidate, so what is left over varies little from
    document to document.  Whatever it has read before, chance alone decided which side that is on.

    Args:
        counted: The n-grams; where they stand by byte they stay, as tables have no bytes.
        validation: What the candidate began with on the documents that it has not seen.
        train: The same on those that it learnt from.
    """
    if validation is None or train is None:
        return counted
    return replace(counted, validation=validation, train=train)


def _rows(table: ScoreTable, chosen: ChosenDocuments) -> ScoreTable:
    """The rows that a budget leaves."""
    return table.select(table.isin(chosen.uniform)) if chosen.limited else table
