"""The evaluation step of a task: a checkpoint in, metrics, gates and a verdict out.

The report that it leaves has the shape of a language model's (`lmcore.evaluation.report`):
gates.json, metrics.json, samples.json; and of its own predictions.parquet (the answer to each
judged document and how good it is), tables.json, attention.json and ledger.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lmcore.content_store import ContentStore
from lmcore.data.copies.removal import NOTHING_REMOVED, Removals
from lmcore.data.documents import Document
from lmcore.data.tokens.corpus import Corpus
from lmcore.digests import code_digest, digest
from lmcore.durable import atomic_write
from lmcore.evaluation.budget.plan import AS_CONFIGURED, PLAN_FILE, EvaluationPlan
from lmcore.evaluation.config import GateName, GatesConfig
from lmcore.evaluation.gates.asking import Judge, ask
from lmcore.evaluation.gates.champion import Margin, champion
from lmcore.evaluation.gates.competence import competence
from lmcore.evaluation.gates.contamination import contamination
from lmcore.evaluation.gates.instrument import instrument
from lmcore.evaluation.gates.overfitting import FitLimits, overfitting
from lmcore.evaluation.gates.provenance import provenance
from lmcore.evaluation.gates.result import GateResult, Verdict
from lmcore.evaluation.gates.standing import ControlRecord, shipped_record, standings
from lmcore.evaluation.inputs import Challenge
from lmcore.evaluation.memory.contamination import measure_contamination
from lmcore.evaluation.ownership import examine_ownership
from lmcore.evaluation.report import (
    ACCOUNT_FILE,
    ATTENTION_FILE,
    GATES_FILE,
    METRICS_FILE,
    SAMPLES_FILE,
    TABLES_FILE,
    EvalReport,
    write_json,
)
from lmcore.evaluation.sides import Progress, unseen
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.tasks.base_model import BaseModel
from lmcore.tasks.gates.bias_task import bias_task
from lmcore.tasks.judging.classification import classify
from lmcore.tasks.judging.comparison import Judging
from lmcore.tasks.judging.evidence import TaskEvidence, judged_documents
from lmcore.tasks.judging.planning import planned_task
from lmcore.tasks.judging.writing import write_texts
from lmcore.tasks.record import read_record
from lmcore.tasks.task import TASKS

CODE_MODULES = ("lmcore.data", "lmcore.evaluation", "lmcore.model", "lmcore.tasks")
PREDICTIONS_FILE = "predictions.parquet"


def evaluate_task(
    store: ContentStore,
    corpus: Corpus,
    *,
    challenge: Challenge,
    base: BaseModel | None,
    gates: GatesConfig,
    seed: int = 0,
    removals: Removals = NOTHING_REMOVED,
    on_progress: Progress = unseen,
) -> EvalReport:
    """Answer the held-out documents, compare with baselines and champion, and ask every gate.

    Args:
        store: Where the report is kept.
        corpus: The data of this run; its train stream says what was consumed.
        challenge: The candidate, and what it is scored beside.
        base: The language model that training started from.
        gates: Limits, and which gates are required.
        seed: Of bootstraps.
        removals: Documents that must not be among the data.
        on_progress: Told the part, and how many of how many documents of it are done.

    Raises:
        EmptyEvaluationError: If there are fewer than two documents to judge on.
    """
    record, documents, task = shipped_record(), corpus.documents, read_record(challenge.best).task
    plan = planned_task(store, corpus, challenge=challenge, base=base, gates=gates)
    inputs = {
        "task": task,
        "documents": documents.key,
        "tokenizer": corpus.tokenizer.key,
        "shards": corpus.shards.key,
        **challenge.inputs(documents),
        "base": None if base is None else [base.key, base.removed],
        "gates": gates.model_dump(mode="json"),
        "seed": seed,
        "removals": removals.digest,
        "code": code_digest(*CODE_MODULES),
        "controls": {
            name: standing.to_json()
            for name, standing in standings(gates, record).items()
            if name in TASKS[task].gates
        },
        "plan": plan.model_dump(mode="json"),
    }

    def make(folder: Path) -> Mapping[str, Any]:
        everything = gates.tasks.max_validation_documents

        def first(limit: int) -> tuple[list[Document], int]:
            without = base.train_ids if base else frozenset()
            return judged_documents(documents, limit=limit, without=without)

        judged, seen = first(plan.count("validation_documents", everything))
        measure = classify if TASKS[task].chooses_label else write_texts
        evidence = measure(
            Judging(
                corpus=corpus,
                judged=judged,
                seen_by_base=seen,
                challenge=challenge,
                base=base.designation if base else None,
                gates=gates,
                plan=plan,
                on_progress=on_progress,
            )
        )
        on_progress("gates", 0, 0)
        resampling = Resampling(seed=seed, resamples=gates.evaluation.resamples)
        metrics = task_metrics(evidence, challenge.checkpoint.summary, resampling=resampling)
        ownership = examine_ownership(
            documents,
            tokenizer=None if base else corpus.tokenizer,
            shards=corpus.shards,
            removals=removals,
        )
        ownership = replace(ownership, made_from=challenge.made_from)
        if base is not None:
            ownership = replace(ownership, base=base.designation, base_removed=base.removed)
        verdict = Verdict(
            results=judge(
                evidence,
                gates=gates,
                record=record,
                seed=seed,
                plan=plan,
                of_data={
                    "provenance": lambda required: provenance(
                        documents.summary, required=required, ownership=ownership
                    ),
                    "contamination": lambda required: contamination(
                        measure_contamination(
                            documents,
                            # No model is asked, so a budget leaves nothing out.
                            validation=first(everything)[0],
                            common_documents=gates.evaluation.common_documents,
                        ),
                        limits=gates.contamination,
                        required=required,
                    ),
                },
            )
        )
        atomic_write(folder / GATES_FILE, write_json([r.to_json() for r in verdict.results]))
        atomic_write(folder / METRICS_FILE, write_json(metrics))
        atomic_write(folder / SAMPLES_FILE, write_json(evidence.report.samples))
        atomic_write(folder / ATTENTION_FILE, write_json(evidence.report.attention))
        atomic_write(folder / TABLES_FILE, write_json(evidence.report.tables))
        atomic_write(folder / ACCOUNT_FILE, write_json(evidence.report.notes))
        atomic_write(folder / PLAN_FILE, plan.model_dump_json(indent=1))
        _write_predictions(evidence, folder / PREDICTIONS_FILE)
        return {
            "passed": verdict.passed,
            "outcome": verdict.outcome,
            "reason": verdict.reason,
            "gates": {result.gate: result.outcome for result in verdict.results},
            "metrics": {name: metric["value"] for name, metric in metrics.items()},
            "signatures": dict(evidence.signatures),
            "evaluation_hash": digest(sorted(d.id for d in evidence.documents)),
            "documents": len(evidence.documents),
        }

    return store.build(EvalReport, inputs, make)


def task_metrics(
    evidence: TaskEvidence, facts: Mapping[str, Any], *, resampling: Resampling
) -> dict[str, dict[str, Any]]:
    """Metrics under their contract names: value, lower, upper, unit, n."""
    found = {
        name: measured.interval(resampling=resampling).as_metric(measured.metric.unit)
        for name, measured in evidence.measured.items()
    }
    plain = {
        **evidence.plain,
        "train_tokens_per_second": (float(facts["train_tokens_per_second"]), "tokens/s"),
        "params": (float(facts["params"]), "parameters"),
    }
    for name, (value, unit) in plain.items():
        n = 1 if unit in ("parameters", "tokens/s") else len(evidence.documents)
        found[name] = {"value": value, "lower": None, "upper": None, "unit": unit, "n": n}
    return found


def judge(
    evidence: TaskEvidence,
    *,
    gates: GatesConfig,
    record: ControlRecord,
    seed: int,
    of_data: Mapping[GateName, Judge],
    plan: EvaluationPlan = AS_CONFIGURED,
) -> list[GateResult]:
    """Ask every gate of a task.

    Args:
        evidence: What was measured.
        gates: Limits, and which gates are required.
        record: How gates did on their controls.
        seed: Of bootstraps.
        of_data: Gates that ask about the data, whatever the model: provenance, contamination.
        plan: How much was asked of the models.
    """
    resampling = Resampling(seed=seed, resamples=gates.evaluation.resamples)
    judges: dict[GateName, Judge] = {
        "instrument": lambda required: instrument(
            evidence.instrument, limits=gates.instrument, required=required
        ),
        "provenance": of_data["provenance"],
        "competence": lambda required: competence(
            evidence.deciding, evidence.bars, required=required, resampling=resampling
        ),
        "champion": lambda required: champion(
            evidence.deciding,
            evidence.incumbent,
            anchor=np.array([d.anchor for d in evidence.documents], dtype=np.bool_),
            margin=Margin.of(gates, evidence.deciding.metric),
            required=required,
            resampling=resampling,
        ),
        "overfitting": lambda required: overfitting(
            evidence.fit,
            limits=FitLimits.of(gates, evidence.fit.seen.metric),
            required=required,
            resampling=resampling,
        ),
        "contamination": of_data["contamination"],
    }
    if evidence.bias is not None:
        judges["bias_task"] = lambda required: bias_task(
            evidence.bias, limits=gates.bias_task, required=required, resampling=resampling
        )
    return ask(judges, gates=gates, record=record, plan=plan)


def _write_predictions(evidence: TaskEvidence, path: Path) -> None:
    """Answers without texts and targets: a version does not publish its data.

    The file says how its column `quality` was computed, as two versions are compared by it.
    """
    columns = {
        "id": [d.id for d in evidence.documents],
        "cluster": [d.cluster for d in evidence.documents],
        "output": list(evidence.outputs),
        "quality": [float(value) for value in evidence.each],
    }
    table = pa.table(columns).replace_schema_metadata({"quality": evidence.way})
    pq.write_table(table, path, compression="zstd")
