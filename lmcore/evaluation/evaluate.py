"""The evaluation step: a checkpoint in, scores, gates and a verdict out.

In come documents, tokenizer, shards, checkpoint and, if there is one, the champion; out
comes an `EvalReport`.  Every gate runs, whatever the others say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lmcore.content_store import ContentStore
from lmcore.data.copies.removal import NOTHING_REMOVED, Removals
from lmcore.data.tokens.corpus import Corpus
from lmcore.digests import code_digest
from lmcore.durable import atomic_write
from lmcore.evaluation.beside import shown_beside
from lmcore.evaluation.bias.probes import probes_digest
from lmcore.evaluation.budget.plan import PLAN_FILE
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.counts import Beside, Later
from lmcore.evaluation.evidence import Collector
from lmcore.evaluation.gates.result import Verdict
from lmcore.evaluation.gates.standing import (
    shipped_record,
    standings,
)
from lmcore.evaluation.inputs import Challenge
from lmcore.evaluation.judging import judge
from lmcore.evaluation.kept_parts import KeptParts
from lmcore.evaluation.ownership import examine_ownership
from lmcore.evaluation.planning import planned_evaluation
from lmcore.evaluation.questions import Question
from lmcore.evaluation.report import (
    GATES_FILE,
    METRICS_FILE,
    SAMPLES_FILE,
    EvalReport,
    write_json,
)
from lmcore.evaluation.samples import NUM_SAMPLES, draw_samples
from lmcore.evaluation.scores.published import contract_metrics
from lmcore.evaluation.sides import Progress, unseen
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.model.filtering import Forbidden

CODE_MODULES = (
    "lmcore.data.tokens.batches",
    "lmcore.data.tokens.layout",
    "lmcore.data.copies.shingles",
    "lmcore.data.copies.sketches",
    "lmcore.data.tokens.canaries",
    "lmcore.data.documents",
    "lmcore.data.text.folding",
    "lmcore.data.text.words",
    "lmcore.data.text.personal",
    "lmcore.data.text.privacy",
    "lmcore.data.text.licences",
    "lmcore.data.copies.removal",
    "lmcore.data.tokens.shards",
    "lmcore.data.tokens.token_stream",
    "lmcore.data.tokens.tokenizer",
    "lmcore.data.tokens.vocabularies",
    "lmcore.evaluation",
    "lmcore.model",
)


@dataclass(frozen=True, kw_only=True)
class Helpers:
    """Who works on an evaluation beside the one that reports it.

    Attributes:
        share_out: Given all questions, where there is no report yet. Asks some of them and has
            other workers ask the rest (`ask_shard`); says whether it did, as then answers are
            looked for where homes share what they made.
        later: Makes what other steps ask for of the text, where cores are idle (`Beside`).
    """

    share_out: Callable[[Sequence[Question]], bool] = lambda questions: False
    later: Sequence[Later] = ()


NOBODY = Helpers()


def evaluate_model(
    store: ContentStore,
    corpus: Corpus,
    *,
    challenge: Challenge,
    gates: GatesConfig,
    seed: int = 0,
    removals: Removals = NOTHING_REMOVED,
    on_progress: Progress = unseen,
    helpers: Helpers = NOBODY,
) -> EvalReport:
    """Score a candidate, judge it by every gate, and keep all of it.

    Args:
        store: Where the report and the n-gram baseline are kept.
        corpus: The data of this run; its train stream says what was consumed.
        challenge: The candidate, and what it is scored beside.
        gates: Limits, and which gates are required.
        seed: Of bootstraps, probes and samples.
        removals: Documents that must not be among the data, nor near-copies of them.
        on_progress: Told the part, and how many of how many documents of it are done.
        helpers: Who else works, and what else is made meanwhile.

    Raises:
        EmptyEvaluationError: If there is no validation text, or the candidate's scores are
            not finite.
        IntegrityError: If the checkpoint or the tokenizer cannot be read.
    """
    record = shipped_record()
    collector = _collector(
        store,
        corpus,
        challenge=challenge,
        gates=gates,
        seed=seed,
        on_progress=on_progress,
    )
    plan = collector.plan
    beside = Beside(collector.counts(store), *helpers.later)

    def make(folder: Path) -> Mapping[str, Any]:
        canaries = corpus.shards.canaries()
        shared = collector.keeping_in(store)
        asked = shared if helpers.share_out(shared.asks(store)) else collector
        evidence = asked.collect(store, beside)
        with collector.part("ownership"):
            ownership = examine_ownership(
                corpus.documents,
                tokenizer=corpus.tokenizer,
                shards=corpus.shards,
                removals=removals,
            )
            ownership = replace(ownership, made_from=challenge.made_from)
        with collector.part("metrics"):
            metrics = contract_metrics(
                validation=evidence.validation,
                train=evidence.train,
                baselines=evidence.baselines,
                beside=shown_beside(evidence),
                facts=challenge.checkpoint.summary,
                resampling=Resampling(seed=seed, resamples=gates.evaluation.resamples),
            )
        with collector.part("gates"):
            results = judge(
                evidence,
                corpus,
                ownership=ownership,
                stopped_early=challenge.stopped_early,
                gates=gates,
                seed=seed,
                record=record,
            )
        with collector.part("samples"):
            samples = draw_samples(
                evidence.model,
                corpus.loaded,
                texts=evidence.texts,
                seed=seed,
                forbidden=Forbidden.of(canaries.forbidden) if canaries else None,
                count=plan.count("samples", NUM_SAMPLES),
            )
        for name, table in evidence.tables().items():
            table.to_parquet(folder / f"scores-{name}.parquet")
        atomic_write(folder / GATES_FILE, write_json([result.to_json() for result in results]))
        atomic_write(folder / METRICS_FILE, write_json(metrics))
        atomic_write(folder / SAMPLES_FILE, write_json(samples))
        atomic_write(folder / PLAN_FILE, plan.model_dump_json(indent=1))
        verdict = Verdict(results=results)
        return {
            "passed": verdict.passed,
            "outcome": verdict.outcome,
            "reason": verdict.reason,
            "gates": {result.gate: result.outcome for result in results},
            "metrics": {name: metric["value"] for name, metric in metrics.items()},
            "evaluation_hash": evidence.validation.documents_hash(),
            "documents": len(evidence.validation),
            "seconds": collector.seconds,
        }

    # It begins with imports, for which there is a core while the versions of gates are found.
    with beside.working():
        inputs = {
            **collector.parts.inputs,
            "gates": gates.model_dump(mode="json"),
            "controls": {
                name: standing.to_json() for name, standing in standings(gates, record).items()
            },
            "removals": removals.digest,
        }
        report = store.build(EvalReport, inputs, make)
    collector.parts.clear()
    return report


def ask_shard(
    store: ContentStore,
    corpus: Corpus,
    *,
    challenge: Challenge,
    gates: GatesConfig,
    seed: int,
    number: int,
    of: int,
    on_progress: Progress = unseen,
) -> KeptParts:
    """Ask the models one share of what an evaluation asks, and keep it for who puts it together.

    Each question is asked as a whole by one worker, so the answers are those of one worker alone.

    Args:
        store: Shares what it keeps with the homes of the other workers.
        corpus: As of the evaluation, as the four below.
        challenge: The candidate, and what it is scored beside.
        gates: Limits.
        seed: Of bootstraps, probes and samples.
        number: Of this share, from 0.
        of: Shares in all.
        on_progress: As of `evaluate_model`.

    Returns:
        What was kept here; who does not put the report together can clear it.
    """
    collector = _collector(
        store,
        corpus,
        challenge=challenge,
        gates=gates,
        seed=seed,
        on_progress=on_progress,
    )
    shared = collector.keeping_in(store)
    for question in shared.asks(store)[number::of]:
        question()
    return shared.parts


def _collector(
    store: ContentStore,
    corpus: Corpus,
    *,
    challenge: Challenge,
    gates: GatesConfig,
    seed: int,
    on_progress: Progress,
) -> Collector:
    """What is asked of models; its key holds no limit of a gate, as none changes an answer."""
    plan = planned_evaluation(store, corpus, challenge=challenge, gates=gates)
    inputs = {
        "documents": corpus.documents.key,
        "tokenizer": corpus.tokenizer.key,
        "shards": corpus.shards.key,
        **challenge.inputs(corpus.documents),
        "evaluation": gates.evaluation.model_dump(mode="json"),
        "bias": gates.bias_lm.model_dump(mode="json"),
        "seed": seed,
        "code": code_digest(*CODE_MODULES),
        "probes": probes_digest(gates.evaluation.probes),
        "plan": plan.model_dump(mode="json"),
    }
    # Without other workers they are of use to this home alone, and for as long as this takes.
    kept = ContentStore(store.root)
    return Collector(
        corpus=corpus,
        challenge=challenge,
        limits=gates.evaluation,
        bias=gates.bias_lm,
        on_progress=on_progress,
        plan=plan,
        seed=seed,
        parts=KeptParts(store=kept, inputs=inputs),
    )
