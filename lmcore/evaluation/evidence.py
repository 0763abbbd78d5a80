"""Every score that the gates need, gathered once.

In come the documents and the models, out comes `Evidence`: tables, and a few texts for probes.
The champion is scored again here, on the same documents and with its own tokenizer, because a
number from another day is no comparison.

Where validation is larger than its cap, a fixed sample is scored; beside it then stand samples
of fresh and of anchor documents, which would be rare in it and which the champion gate needs.
Where there is a budget, the counts of its plan take the place of the configured ones.

What a model was asked is kept until the report is finished (`KeptParts`): a killed evaluation goes
on with the first part that it lacks.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from lmcore.artifacts import ContentStore, digest
from lmcore.data.documents import Document
from lmcore.data.tokens.corpus import Corpus
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.errors import NotFiniteError
from lmcore.evaluation.baselines.baselines import ORDERS, fit_baselines
from lmcore.evaluation.baselines.untouched import score_untouched
from lmcore.evaluation.bias.evidence import BiasEvidence, measure_bias
from lmcore.evaluation.bias.probes import run_probes
from lmcore.evaluation.budget.plan import AS_CONFIGURED, EvaluationPlan
from lmcore.evaluation.chosen import ChosenDocuments, chosen_documents
from lmcore.evaluation.config import BiasLimits, EvaluationLimits
from lmcore.evaluation.gates.champion import scored_incumbent
from lmcore.evaluation.gates.data_sufficiency import CurvePoint
from lmcore.evaluation.gates.instrument import TEXT_DOCUMENTS
from lmcore.evaluation.gathered import Evidence, Memorisation
from lmcore.evaluation.inputs import Challenge
from lmcore.evaluation.kept_parts import KeptParts
from lmcore.evaluation.kept_scores import score_once, score_sample_once
from lmcore.evaluation.memory.consumed_text import sample_consumed
from lmcore.evaluation.memory.contamination import Contamination, measure_contamination
from lmcore.evaluation.memory.difficulty_reference import score_reference
from lmcore.evaluation.memory.exposure import NUM_REFERENCES, Exposure, measure_exposure
from lmcore.evaluation.memory.membership import SideNotes, membership_of
from lmcore.evaluation.memory.regurgitation import Regurgitation, free_samples, verbatim
from lmcore.evaluation.memory.suffix_array import train_index
from lmcore.evaluation.pii.evidence import NUM_ELICITED, PiiEvidence, measure_pii
from lmcore.evaluation.scores.scoring import OnScored
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.unread import Unread
from lmcore.model.factory import load_model
from lmcore.model.language_model import LanguageModel

Progress = Callable[[str, int, int], None]


def unseen(part: str, done: int, total: int) -> None:
    """A `Progress` that nobody looks at."""


def _unnoted(*_: object) -> None:
    """An `OnScored` that takes no notes."""


@dataclass(frozen=True, kw_only=True)
class Collector:
    """Gathers the evidence of one evaluation, and notes how long each part took."""

    corpus: Corpus
    challenge: Challenge
    limits: EvaluationLimits
    on_progress: Progress
    plan: EvaluationPlan = AS_CONFIGURED
    seed: int = 0
    bias: BiasLimits | None = None
    parts: KeptParts = field(default_factory=KeptParts)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part, and say that it begins."""
        self.on_progress(name.replace("_", " "), 0, 0)
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 3)

    def collect(self, store: ContentStore) -> Evidence:
        """Score everything; the n-gram baseline is kept in the store of its own."""
        limits = self.limits
        with self.part("baseline"):
            baseline = fit_baselines(
                store,
                self.corpus.documents,
                max_train_bytes=limits.max_baseline_bytes,
                max_validation_bytes=limits.max_validation_bytes,
            )
        chosen = chosen_documents(
            self.corpus.documents,
            champion=self.challenge.champion,
            max_bytes=limits.max_validation_bytes,
            plan=self.plan,
        )
        scored = chosen.scored
        model = load_model(self.challenge.best)
        with self.part("score_validation"):
            unseen, seen = (SideNotes(self.corpus.loaded.pieces) for _ in range(2))
            compared = self._score(
                "validation", model, self.corpus.loaded, scored, on_scored=unseen.document
            )
        with self.part("score_train"):
            sample = sample_consumed(
                self.corpus,
                ranges=self.challenge.checkpoint.consumed().ranges,
                # As much as validation: the gap is no surer than its less sure side.
                max_bytes=min(
                    limits.max_train_bytes,
                    chosen.configured_bytes if chosen.limited else int(compared.num_bytes.sum()),
                ),
                most=self.plan.limit("train_documents"),
            )
            sample = sample.cut() if chosen.limited else sample
            size = len(sample.tokens)
            train = score_sample_once(
                self.parts,
                sample,
                model,
                on_scored=seen.of_sample(sample),
                on_read=lambda share: self.on_progress("train", int(share * size), size),
            )
        final = self._final(scored)
        with self.part("untouched"):
            beginning = self._untouched(store, model, compared)
        with self.part("reference"):
            reference = score_reference(
                self.corpus.documents,
                sample=sample,
                validation=self._validation(scored),
                max_bytes=limits.max_baseline_bytes,
            )
        memorisation = Memorisation(
            membership=membership_of(seen, unseen, reference),
            regurgitation=self._regurgitation(store, model, seen, unseen),
            exposure=self._exposure(model),
            contamination=self._contamination(scored | chosen.configured),
        )
        with self.part("champion"):
            champion, champion_table = scored_incumbent(
                self.challenge.champion,
                lambda model, tokenizer: self._score("champion", model, tokenizer, scored),
                lambda: self.corpus.documents.iter_rows("validation"),
            )
        with self.part("pii"):
            personal = self.parts.value(
                "pii",
                PiiEvidence,
                lambda: measure_pii(
                    model,
                    self.corpus.loaded,
                    self.corpus.documents,
                    seed=self.seed,
                    texts=self.plan.count("elicited_texts", NUM_ELICITED),
                ),
            )
        with self.part("bias"):
            bias = self._bias(model, self.bias) if self.bias is not None else None
        with self.part("data_sufficiency"):
            curve = self._curve(compared, scored)
        return Evidence(
            model=model,
            validation=compared.select(compared.isin(chosen.uniform)),
            compared=compared,
            train=train,
            final=final,
            reference=reference,
            baselines={order: _rows(baseline.scores(order), chosen) for order in ORDERS},
            untouched=beginning,
            unread=self._unread(model),
            champion=champion,
            champion_table=champion_table,
            texts=list(itertools.islice(self._validation(scored), TEXT_DOCUMENTS)),
            curve=curve,
            pii=personal,
            bias=bias,
            memorisation=memorisation,
            plan=self.plan,
        )

    # Each further model is let go of before the next one is loaded.

    def _final(self, ids: frozenset[str]) -> ScoreTable | None:
        if self.challenge.last is None:
            return None
        with self.part("score_final"):
            return self._score("final", load_model(self.challenge.last), self.corpus.loaded, ids)

    def _untouched(
        self, store: ContentStore, model: LanguageModel, compared: ScoreTable
    ) -> ScoreTable | None:
        of = {"documents": self.corpus.documents.key, "tokenizer": self.corpus.tokenizer.key}
        return score_untouched(
            store,
            model,
            beside=compared,
            of=of,
            score=lambda model, some: self._score("untouched", model, self.corpus.loaded, some),
        )

    def _regurgitation(
        self,
        store: ContentStore,
        model: LanguageModel,
        seen: SideNotes,
        unseen: SideNotes,
    ) -> Regurgitation:
        with self.part("train_index"):
            index = train_index(store, self.corpus.shards)
        with self.part("free_samples"):
            drawn = self.parts.arrays(
                "free samples",
                lambda: {
                    "tokens": free_samples(
                        model,
                        count=self.plan.count("free_samples", self.limits.free_samples),
                        num_tokens=self.limits.free_sample_tokens,
                        seed=self.seed,
                    )
                },
            )["tokens"]
            longest, examples = verbatim(drawn, index, pieces=self.corpus.loaded.pieces)
        return Regurgitation(
            train=seen.windows.windows(),
            held_out=unseen.windows.windows(),
            longest=longest,
            examples=examples,
        )

    def _exposure(self, model: LanguageModel) -> Exposure | None:
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
                        model,
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

    def _contamination(self, ids: frozenset[str]) -> Contamination:
        with self.part("contamination"):
            return measure_contamination(
                self.corpus.documents,
                # No model is asked, so a budget leaves nothing out.
                validation=self._validation(ids),
                common_documents=self.limits.common_documents,
            )

    def _bias(self, model: LanguageModel, limits: BiasLimits) -> BiasEvidence:
        def ask() -> BiasEvidence:
            found = measure_bias(
                self.corpus.documents,
                model=model,
                tokenizer=self.corpus.loaded,
                limits=limits,
                most=self.plan.limit("bias_words"),
            )
            probes = run_probes(
                self.limits.probes,
                model=model,
                tokenizer=self.corpus.loaded,
                seed=self.seed,
                most_pairs=self.plan.limit("probe_pairs"),
            )
            return replace(found, probes=probes)

        return self.parts.value("bias", BiasEvidence, ask)

    def _unread(self, model: LanguageModel) -> Unread | None:
        if model.began_with is None:
            return None
        rows = self.corpus.documents.iter_rows("validation")
        return Unread.of(rows, known_until=model.known_until)

    def _validation(self, ids: frozenset[str]) -> Iterator[Document]:
        return (d for d in self.corpus.documents.iter_documents("validation") if d.id in ids)

    def _score(
        self,
        part: str,
        model: LanguageModel,
        tokenizer: Tokenizer,
        ids: frozenset[str],
        *,
        on_scored: OnScored = _unnoted,
    ) -> ScoreTable:
        self.on_progress(part, 0, len(ids))
        table = score_once(
            self.parts,
            f"nats of {part} {digest(sorted(ids))}",
            model,
            tokenizer,
            lambda: self._validation(ids),
            on_progress=lambda done: self.on_progress(part, done, len(ids)),
            on_scored=on_scored,
        )
        # Before anything else is asked of a model that has no answers.
        if not np.isfinite(table.nll_nats).all():
            raise NotFiniteError(
                f"{part}: the model's scores are not finite; its weights are damaged or it diverged"
            )
        return table

    def _curve(self, compared: ScoreTable, scored: frozenset[str]) -> Sequence[CurvePoint] | None:
        if not self.challenge.parts:
            return None
        smaller = [
            CurvePoint(
                share=part.share,
                train_bytes=part.train_bytes,
                table=self._score(
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


def _rows(table: ScoreTable, chosen: ChosenDocuments) -> ScoreTable:
    """The rows that a budget leaves."""
    return table.select(table.isin(chosen.uniform)) if chosen.limited else table
