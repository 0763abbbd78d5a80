"""What an evaluation asks of models, each part by itself: none needs the answer of another.

In: the data, the candidate and whom it is judged beside.  Out: tables, notes and texts, asked for
once (`KeptParts`).  So a killed evaluation goes on with the first part that it lacks, and several
workers can share the parts out.

Where validation is larger than its cap, a fixed sample is scored; beside it then stand samples
of fresh and of anchor documents, which would be rare in it and which the champion gate needs.
Where there is a budget, the counts of its plan take the place of the configured ones.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from types import SimpleNamespace
from typing import Self

import numpy as np

from lmcore.content_store import ContentStore
from lmcore.data.documents import Document
from lmcore.data.tokens.corpus import Corpus
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.digests import digest
from lmcore.errors import NotFiniteError
from lmcore.evaluation.baselines.untouched import score_untouched
from lmcore.evaluation.bias.evidence import BiasEvidence, measure_bias
from lmcore.evaluation.bias.probes import run_probes
from lmcore.evaluation.budget.plan import AS_CONFIGURED, EvaluationPlan
from lmcore.evaluation.chosen import ChosenDocuments, chosen_documents
from lmcore.evaluation.config import BiasLimits, EvaluationLimits
from lmcore.evaluation.gates.champion import Incumbent, scored_incumbent
from lmcore.evaluation.inputs import Challenge
from lmcore.evaluation.kept_parts import KeptParts
from lmcore.evaluation.kept_scores import score_once, score_sample_once
from lmcore.evaluation.memory.consumed_text import ConsumedSample, sample_consumed
from lmcore.evaluation.memory.exposure import NUM_REFERENCES, Exposure, measure_exposure
from lmcore.evaluation.memory.membership import SideNotes
from lmcore.evaluation.memory.regurgitation import free_samples
from lmcore.evaluation.pii.evidence import NUM_ELICITED, PiiEvidence, measure_pii
from lmcore.evaluation.scores.scoring import IntArray, NatsArray, OnScored
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.model.factory import load_model, untouched
from lmcore.model.language_model import LanguageModel

Progress = Callable[[str, int, int], None]
#: Asks a model, and keeps the answer.
Question = Callable[[], object]


def unseen(part: str, done: int, total: int) -> None:
    """A `Progress` that nobody looks at."""


def _unnoted(*_: object) -> None:
    """An `OnScored` that takes no notes."""


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What one evaluation asks of models; it notes how long each part took.

    Attributes:
        corpus: The data of the run.
        challenge: The candidate, and what it is scored beside.
        limits: Of the evaluation.
        on_progress: Told the part, and how many of how many documents of it are done.
        plan: How much is asked, where there is a budget.
        seed: Of what is drawn.
        bias: Limits of the gate; None: nobody asks about words.
        parts: Where answers are kept.
        seconds: Of each part.
    """

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

    # -- what is asked about -------------------------------------------------------------------

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

    # -- what is asked of models ---------------------------------------------------------------

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
            return self._on_sample("train", self.model, notes.of_sample(self.sample))

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
            return self._on_sample("untouched on train", model.to(self.model.device), _unnoted)

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

    # -- tables ------------------------------------------------------------------------------

    def validation(self, ids: frozenset[str]) -> Iterator[Document]:
        """Held-out documents of these ids."""
        return (d for d in self.corpus.documents.iter_documents("validation") if d.id in ids)

    def _on_sample(
        self, name: str, model: LanguageModel, on_scored: Callable[[int, NatsArray], None]
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
        on_scored: OnScored = _unnoted,
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
