"""The budget of an evaluation, turned into a plan once: how fast the models are, how much there is.

In: the data of a run, the models and the limits.  Out: a content folder with `plan.json`, keyed by
all of these.  The clock is asked when the folder is made and never again: an evaluation that was
killed, and one that is made anew of the same, find it and ask the same questions.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lmcore.content_store import ContentStore, Handle
from lmcore.data.tokens.corpus import Corpus
from lmcore.data.tokens.tokenizer import load_tokenizer
from lmcore.digests import code_digest
from lmcore.durable import atomic_write
from lmcore.errors import LmcoreError, UserError
from lmcore.evaluation.baselines.baselines import validation_order
from lmcore.evaluation.bias.crows_pairs import read_pairs
from lmcore.evaluation.bias.evidence import count_leanings, eligible_words
from lmcore.evaluation.bias.templates import TEMPLATES
from lmcore.evaluation.budget.language import Sizes, plan_evaluation
from lmcore.evaluation.budget.plan import AS_CONFIGURED, PLAN_FILE, EvaluationPlan
from lmcore.evaluation.budget.probe import Reader, measure_speeds
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.instrument import PROBE_DOCUMENTS, PROBE_TOKENS
from lmcore.evaluation.inputs import Challenge, ChampionInput
from lmcore.evaluation.memory.consumed_text import consumed_lengths
from lmcore.evaluation.memory.exposure import NUM_REFERENCES, consumed_pairs
from lmcore.evaluation.pii.evidence import EGRESS_TOKENS, NUM_ELICITED
from lmcore.evaluation.samples import NUM_SAMPLES, SAMPLE_TOKENS
from lmcore.evaluation.statistics.sampling import sampled
from lmcore.model.factory import load_model

CODE_MODULES = ("lmcore.evaluation.budget", "lmcore.evaluation.planning")
# Texts that the probe reads the beginnings of.
_PROBED_TEXTS = 64
_PROMPT_TOKENS = 10
# Of the sentences of an average word, so many words tell the length.
_MEASURED_WORDS = 8


class PlannedEvaluation(Handle):
    """A plan that was made."""

    kind: ClassVar[str] = "evaluation_plan"

    def plan(self) -> EvaluationPlan:
        """It."""
        text = (self.path / PLAN_FILE).read_text(encoding="utf-8")
        return EvaluationPlan.model_validate_json(text)


def planned_evaluation(
    store: ContentStore, corpus: Corpus, *, challenge: Challenge, gates: GatesConfig
) -> EvaluationPlan:
    """The plan of an evaluation of a language model; without a budget all is as configured.

    Args:
        store: Where the plan is kept.
        corpus: The data of this run.
        challenge: The candidate, and what it is scored beside.
        gates: Limits.
    """
    if gates.evaluation.budget_seconds is None:
        return AS_CONFIGURED
    inputs = {
        "documents": corpus.documents.key,
        "tokenizer": corpus.tokenizer.key,
        "shards": corpus.shards.key,
        **challenge.inputs(corpus.documents),
        "gates": gates.model_dump(mode="json"),
        "code": code_digest(*CODE_MODULES),
    }

    def make() -> EvaluationPlan:
        started = time.perf_counter()
        candidate = Reader(model=load_model(challenge.best), tokenizer=corpus.loaded)
        champion = _champion(challenge.champion)
        order = validation_order(corpus.documents, max_bytes=gates.evaluation.max_validation_bytes)
        probed = {identity for identity, _ in order[:_PROBED_TEXTS]}
        documents = corpus.documents.iter_documents("validation")
        texts = [document.text for document in documents if document.id in probed]
        speeds = measure_speeds(candidate, texts or [""], champion=champion)
        return plan_evaluation(
            gates,
            speeds,
            _Counting(
                corpus=corpus,
                challenge=challenge,
                gates=gates,
                began_with=candidate.model.began_with,
            ).sizes(order),
            probe_seconds=time.perf_counter() - started,
        )

    return kept_plan(store, inputs, make)


def kept_plan(
    store: ContentStore, inputs: Mapping[str, Any], make: Callable[[], EvaluationPlan]
) -> EvaluationPlan:
    """The plan of these inputs, made where there is none yet.

    Args:
        store: Where it is kept.
        inputs: All that it is for, as JSON values.
        make: Asks the clock.
    """

    def write(folder: Path) -> Mapping[str, Any]:
        plan = make()
        atomic_write(folder / PLAN_FILE, plan.model_dump_json(indent=1))
        return {"budget_seconds": plan.budget_seconds, "seconds": plan.seconds}

    return store.build(PlannedEvaluation, inputs, write).plan()


def _champion(given: ChampionInput | None) -> Reader | None:
    """The champion to be timed; None where there is none that can be scored."""
    if given is None or given.problem:
        return None
    try:
        model, tokenizer = load_model(given.weights), load_tokenizer(given.tokenizer)
    except LmcoreError:
        return None
    fits = model.vocab_size == tokenizer.vocab_size
    return Reader(model=model, tokenizer=tokenizer) if fits else None


@dataclass(frozen=True, kw_only=True)
class _Counting:
    """How much there is to ask about, found without asking any model."""

    corpus: Corpus
    challenge: Challenge
    gates: GatesConfig
    began_with: str | None = None

    def sizes(self, order: Sequence[tuple[str, int]]) -> Sizes:
        """All of it.

        Args:
            order: Id and bytes of the held-out documents, in the order in which they are taken.
        """
        limits = self.gates.evaluation
        fresh, anchor = self._further(order)
        held_out = sum(size for _, size in order)
        return Sizes(
            validation=[size for _, size in order],
            fresh_at=self._fresh_at(order),
            fresh=fresh,
            anchor=anchor,
            train=consumed_lengths(
                self.corpus,
                ranges=self.challenge.checkpoint.consumed().ranges,
                max_bytes=min(limits.max_train_bytes, held_out),
            ),
            readers=1
            + (self.challenge.last is not None)
            + len(self.challenge.parts)
            # That it was scored before is not relied on.
            + (self.began_with is not None),
            learnt_readers=1 + (self.began_with is not None),
            instrument=(PROBE_DOCUMENTS, PROBE_TOKENS),
            samples=(NUM_SAMPLES, SAMPLE_TOKENS + _PROMPT_TOKENS),
            elicited=(NUM_ELICITED, EGRESS_TOKENS + _PROMPT_TOKENS),
            canaries=self._canaries(),
            references=NUM_REFERENCES,
            words=self._words(),
            pairs=self._pairs(),
        )

    def _further(self, order: Sequence[tuple[str, int]]) -> tuple[list[int], list[int]]:
        """Sizes of the further fresh and anchor documents, where validation is sampled."""
        documents, champion = self.corpus.documents, self.challenge.champion
        if champion is None or len(order) == documents.count("validation"):
            return [], []
        most = self.gates.evaluation.max_validation_bytes // 4
        known = champion.known_ids

        def taken(rows: Iterable[Mapping[str, Any]]) -> list[int]:
            return [size for _, size in sampled(rows, max_bytes=most, purpose="extra")]

        rows = documents.iter_rows
        return (
            taken(row for row in rows("validation") if row["id"] not in known),
            taken(row for row in rows("validation") if row["anchor"] and row["id"] in known),
        )

    def _fresh_at(self, order: Sequence[tuple[str, int]]) -> int:
        """How many documents hold so many new ones that the champion is judged on those."""
        champion = self.challenge.champion
        if champion is None:
            return 0
        new = [int(identity not in champion.known_ids) for identity, _ in order]
        wanted = self.gates.champion.min_fresh_documents
        if sum(new) < wanted:
            return 0
        return list(itertools.accumulate(new)).index(wanted) + 1

    def _canaries(self) -> tuple[int, int]:
        canaries = self.corpus.shards.canaries()
        if canaries is None:
            return 0, 0
        pairs = consumed_pairs(
            canaries,
            stream=self.corpus.train_stream,
            ranges=self.challenge.checkpoint.consumed().ranges,
        )
        return len(pairs), self._length([pair.inside for pair in pairs]) + 1

    def _words(self) -> tuple[int, int]:
        limits = self.gates.bias_lm
        counts, _ = count_leanings(self.corpus.documents, limits=limits)
        words = eligible_words(
            counts, min_occurrences=limits.min_occurrences, min_votes=limits.min_votes
        )
        some = words[:: max(1, len(words) // _MEASURED_WORDS)]
        lengths = []
        for word in some:
            sentences = [s for t in TEMPLATES[word.kind] for s in t.sentences(word)]
            lengths.append(len(sentences) * (self._length(sentences) + 1))
        return len(words), max(lengths, default=0)

    def _pairs(self) -> tuple[int, int]:
        path = self.gates.evaluation.probes.crows_pairs
        if path is None:
            return 0, 0
        try:
            pairs = read_pairs(Path(path))
        except UserError:
            return 0, 0
        return len(pairs), 2 * (self._length([pair.more for pair in pairs[:200]]) + 1)

    def _length(self, texts: Sequence[str]) -> int:
        """Tokens of one of them on average, rounded up."""
        found = self.corpus.loaded.encode_batch(list(texts))
        return -(-sum(map(len, found)) // max(1, len(found)))
