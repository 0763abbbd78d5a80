"""The evaluation step: a checkpoint in, scores, gates and a verdict out.

In come documents, tokenizer, shards, checkpoint and, if there is one, the champion; out
comes an `EvalReport`.  The champion is scored again here, on the same documents and with its
own tokenizer, because a number from another day is no comparison.

Every gate runs, whatever the others say.  Where validation is larger than its cap, a fixed
sample is scored; beside it then stand samples of fresh and of anchor documents, which would
be rare in it and which the champion gate needs.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lmcore.artifacts import ContentStore, atomic_write, code_digest, digest
from lmcore.data.documents import Document, DocumentSet
from lmcore.data.shards import ShardSet
from lmcore.data.tokenizer import Tokenizer, TokenizerHandle, load_tokenizer
from lmcore.errors import LmcoreError
from lmcore.evaluation.baselines import ORDERS, fit_baselines, validation_ids
from lmcore.evaluation.config import GateName, GatesConfig
from lmcore.evaluation.consumed import sample_consumed
from lmcore.evaluation.gates.champion import ChampionScores
from lmcore.evaluation.gates.champion import champion as judge_champion
from lmcore.evaluation.gates.competence import competence
from lmcore.evaluation.gates.instrument import TEXT_DOCUMENTS, instrument, probe_instrument
from lmcore.evaluation.gates.overfitting import overfitting
from lmcore.evaluation.gates.provenance import provenance
from lmcore.evaluation.gates.result import GateResult, Verdict, guarded
from lmcore.evaluation.reference import Reference, score_reference
from lmcore.evaluation.report import (
    GATES_FILE,
    METRICS_FILE,
    SAMPLES_FILE,
    EvalReport,
    contract_metrics,
    write_json,
)
from lmcore.evaluation.sampling import sampled_ids
from lmcore.evaluation.scores import ScoreTable
from lmcore.evaluation.scoring import score_documents
from lmcore.model.generation import GenerationConfig, generate_batch
from lmcore.model.language_model import RecurrentAttentionLM, load_model

CODE_MODULES = (
    "lmcore.data.batches",
    "lmcore.data.documents",
    "lmcore.data.shards",
    "lmcore.data.tokenizer",
    "lmcore.data.vocabularies",
    "lmcore.evaluation",
    "lmcore.model",
)
SAMPLE_TOKENS = 150
SAMPLE_TEMPERATURE = 0.8
NUM_PROMPTS = 3
_PROMPT_CHARACTERS = 40

Progress = Callable[[str, int, int], None]


class ReadRecord(Protocol):
    """What a set of weights has read."""

    @property
    def ranges(self) -> Sequence[tuple[int, int]]:
        """Token ranges [start, stop) of the train stream, sorted and disjoint."""
        ...


class TrainedModel(Protocol):
    """What is needed of `lmcore.training.checkpoint.Checkpoint`."""

    @property
    def key(self) -> str:
        """Hash of all that made it."""
        ...

    @property
    def path(self) -> Path:
        """Folder with `best` and `final` weights."""
        ...

    @property
    def summary(self) -> Mapping[str, Any]:
        """Among others the sha256 of both weights."""
        ...

    def consumed(self) -> ReadRecord:
        """What the best weights have read."""
        ...


@dataclass(frozen=True, kw_only=True)
class ChampionInput:
    """The model in use, as files, and the documents that it has met.

    Attributes:
        version: Registry version.
        weights: Folder that `load_model` reads.
        tokenizer: Folder that `load_tokenizer` reads.
        key: Hash of the weights, or of the version's manifest.
        train_ids: Documents that it was trained or tuned on.
        known_ids: All documents of its data, whatever their split.
        problem: Why its files must not be used; empty where they may be.
    """

    version: int
    weights: Path
    tokenizer: Path
    key: str
    train_ids: AbstractSet[str] = frozenset()
    known_ids: AbstractSet[str] = frozenset()
    problem: str = ""

    def inputs(self, documents: DocumentSet) -> dict[str, Any]:
        """What of it determines an evaluation on these documents, as JSON values."""
        scored = [str(row["id"]) for row in documents.iter_rows("validation")]
        return {
            "version": self.version,
            "key": self.key,
            "trained_on": digest(sorted(i for i in scored if i in self.train_ids)),
            "knew": digest(sorted(i for i in scored if i in self.known_ids)),
        }


def evaluate_model(
    store: ContentStore,
    *,
    documents: DocumentSet,
    tokenizer: TokenizerHandle,
    shards: ShardSet,
    checkpoint: TrainedModel,
    champion: ChampionInput | None,
    gates: GatesConfig,
    seed: int = 0,
    prompts: Sequence[str] | None = None,
    device: str = "cpu",
    on_progress: Progress | None = None,
) -> EvalReport:
    """Score a candidate, judge it by every gate, and keep all of it.

    Args:
        store: Where the report and the n-gram baseline are kept.
        documents: The data of this run.
        tokenizer: Fitted on their train split.
        shards: Their tokens; the train stream says what was consumed.
        checkpoint: The candidate.
        champion: The model in use; None for the first version.
        gates: Limits, and which gates are required.
        seed: Of bootstraps, probes and samples.
        prompts: Of the samples; None: how three validation documents begin, and nothing.
        device: Where models run.
        on_progress: Told the part, and how many of how many documents of it are done.

    Raises:
        EmptyEvaluationError: If there is no validation text, or the candidate's scores are
            not finite.
        IntegrityError: If the checkpoint or the tokenizer cannot be read.
    """
    inputs = {
        "documents": documents.key,
        "tokenizer": tokenizer.key,
        "shards": shards.key,
        "checkpoint": checkpoint.key,
        "champion": None if champion is None else champion.inputs(documents),
        "gates": gates.model_dump(mode="json"),
        "seed": seed,
        "prompts": None if prompts is None else list(prompts),
        "code": code_digest(*CODE_MODULES),
    }

    def make(folder: Path) -> Mapping[str, Any]:
        evaluation = _Evaluation(
            documents=documents,
            tokenizer_handle=tokenizer,
            tokenizer=tokenizer.load(),
            shards=shards,
            checkpoint=checkpoint,
            champion=champion,
            gates=gates,
            seed=seed,
            device=device,
            on_progress=on_progress or (lambda part, done, total: None),
        )
        return evaluation.run(store, folder, prompts)

    return store.build(EvalReport, inputs, make)


@dataclass(frozen=True, kw_only=True)
class _Evaluation:
    """One run of the step: its inputs, and how long each part took."""

    documents: DocumentSet
    tokenizer_handle: TokenizerHandle
    tokenizer: Tokenizer
    shards: ShardSet
    checkpoint: TrainedModel
    champion: ChampionInput | None
    gates: GatesConfig
    seed: int
    device: str
    on_progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    def run(
        self, store: ContentStore, folder: Path, prompts: Sequence[str] | None
    ) -> Mapping[str, Any]:
        """Fill the folder; returns the summary."""
        limits = self.gates.evaluation
        with self._part("baseline"):
            baseline = fit_baselines(
                store,
                self.documents,
                max_train_bytes=limits.max_baseline_bytes,
                max_validation_bytes=limits.max_validation_bytes,
            )
        uniform, scored = self._chosen()
        model = load_model(self.checkpoint.path / "best", self.device).eval()
        tables = self._scored(model, scored)
        everything = tables["validation"]
        validation = everything.select(everything.isin(uniform))
        baselines = {order: baseline.scores(order) for order in ORDERS}
        with self._part("metrics"):
            metrics = contract_metrics(
                validation=validation,
                train=tables["train"],
                baselines=baselines,
                facts=self.checkpoint.summary,
                seed=self.seed,
                resamples=limits.resamples,
            )
        with self._part("champion"):
            incumbent = self._champion_scores(scored)
        texts = self._texts(scored)
        with self._part("gates"):
            results = self._judged(model, tables, validation, baselines, incumbent, texts)
        with self._part("samples"):
            samples = self._samples(model, texts, prompts)
        if incumbent is not None and incumbent.table is not None:
            tables["champion"] = incumbent.table
        for name, table in {**tables, **{f"kn{k}": t for k, t in baselines.items()}}.items():
            table.to_parquet(folder / f"scores-{name}.parquet")
        verdict = Verdict(results=results)
        atomic_write(folder / GATES_FILE, write_json([result.to_json() for result in results]))
        atomic_write(folder / METRICS_FILE, write_json(metrics))
        atomic_write(folder / SAMPLES_FILE, write_json(samples))
        return {
            "passed": verdict.passed,
            "outcome": verdict.outcome,
            "reason": verdict.reason,
            "gates": {result.gate: result.outcome for result in results},
            "metrics": {name: metric["value"] for name, metric in metrics.items()},
            "evaluation_hash": validation.documents_hash(),
            "documents": len(validation),
            "seconds": self.seconds,
        }

    @contextlib.contextmanager
    def _part(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 3)

    def _chosen(self) -> tuple[frozenset[str], frozenset[str]]:
        """Ids of the documents that metrics are over, and of all documents to score."""
        cap = self.gates.evaluation.max_validation_bytes
        uniform = validation_ids(self.documents, max_bytes=cap)
        if self.champion is None or len(uniform) == self.documents.count("validation"):
            return uniform, uniform
        known, rows = self.champion.known_ids, self.documents.iter_rows
        fresh = (row for row in rows("validation") if row["id"] not in known)
        anchor = (row for row in rows("validation") if row["anchor"] and row["id"] in known)
        extra = [sampled_ids(part, max_bytes=cap // 4, purpose="extra") for part in (fresh, anchor)]
        return uniform, uniform.union(*extra)

    def _texts(self, ids: frozenset[str]) -> list[Document]:
        """The first scored documents, for probes and prompts."""
        return list(itertools.islice(self._validation(ids), TEXT_DOCUMENTS))

    def _validation(self, ids: frozenset[str]) -> Iterator[Document]:
        return (d for d in self.documents.iter_documents("validation") if d.id in ids)

    def _scored(self, model: RecurrentAttentionLM, scored: frozenset[str]) -> dict[str, ScoreTable]:
        limits, facts = self.gates.evaluation, self.checkpoint.summary
        tables = {}
        with self._part("score_validation"):
            tables["validation"] = self._score("validation", model, self.tokenizer, scored)
        with self._part("score_train"):
            sample = sample_consumed(
                self.documents,
                stream=self.shards.stream("train"),
                ranges=self.checkpoint.consumed().ranges,
                pieces=self.tokenizer.pieces,
                # As much as validation: the gap is no surer than its less sure side.
                max_bytes=min(limits.max_train_bytes, int(tables["validation"].num_bytes.sum())),
            )
            tables["train"] = sample.scored_by(model)
        with self._part("reference"):
            reference = score_reference(
                self.documents,
                sample=sample,
                validation=self._validation(scored),
                max_bytes=limits.max_baseline_bytes,
            )
            tables["reference-train"] = reference.train
            tables["reference-validation"] = reference.validation
        if facts.get("final_weights_sha256") != facts.get("weights_sha256"):
            final = load_model(self.checkpoint.path / "final", self.device).eval()
            with self._part("score_final"):
                tables["final"] = self._score("final", final, self.tokenizer, scored)
        return tables

    def _score(
        self, part: str, model: RecurrentAttentionLM, tokenizer: Tokenizer, ids: frozenset[str]
    ) -> ScoreTable:
        self.on_progress(part, 0, len(ids))
        return score_documents(
            model,
            tokenizer,
            self._validation(ids),
            on_progress=lambda done: self.on_progress(part, done, len(ids)),
        )

    def _champion_scores(self, scored: frozenset[str]) -> ChampionScores | None:
        given = self.champion
        if given is None:
            return None
        if given.problem:
            return ChampionScores(version=given.version, table=None, problem=given.problem)
        table, problem = None, ""
        try:
            model = load_model(given.weights, self.device).eval()
            tokenizer = load_tokenizer(given.tokenizer)
            if tokenizer.vocab_size == model.vocab_size:
                table = self._score("champion", model, tokenizer, scored)
            else:
                problem = f"{model.vocab_size} outputs, but {tokenizer.vocab_size} tokens"
        except LmcoreError as error:
            # What is wrong with an old model must not stop the judgement of the new one.
            problem = str(error)
        return ChampionScores(
            version=given.version,
            table=table,
            problem=problem,
            train_ids=given.train_ids,
            known_ids=given.known_ids,
        )

    def _judged(
        self,
        model: RecurrentAttentionLM,
        tables: Mapping[str, ScoreTable],
        validation: ScoreTable,
        baselines: Mapping[int, ScoreTable],
        incumbent: ChampionScores | None,
        texts: Sequence[Document],
    ) -> list[GateResult]:
        gates, seed, resamples = self.gates, self.seed, self.gates.evaluation.resamples
        everything = tables["validation"]
        judges: dict[GateName, Callable[[bool], GateResult]] = {
            "instrument": lambda required: instrument(
                probe_instrument(
                    model,
                    tokenizer=self.tokenizer,
                    tokenizer_facts=self.tokenizer_handle.summary,
                    documents=self.documents,
                    scored=everything,
                    texts=texts,
                    seed=seed,
                ),
                limits=gates.instrument,
                required=required,
            ),
            "provenance": lambda required: provenance(self.documents.summary, required=required),
            "competence": lambda required: competence(
                validation,
                baselines,
                limits=gates.competence,
                required=required,
                seed=seed,
                resamples=resamples,
            ),
            "champion": lambda required: judge_champion(
                everything,
                incumbent,
                limits=gates.champion,
                required=required,
                seed=seed,
                resamples=resamples,
            ),
            "overfitting": lambda required: overfitting(
                everything,
                tables["train"],
                reference=Reference(
                    validation=tables["reference-validation"], train=tables["reference-train"]
                ),
                final=tables.get("final"),
                stopped_early=bool(self.checkpoint.summary.get("stopped_early")),
                limits=gates.overfitting,
                required=required,
                seed=seed,
                resamples=resamples,
            ),
        }
        return [
            guarded(name, required=name in gates.required, judge=judge)
            for name, judge in judges.items()
        ]

    def _samples(
        self,
        model: RecurrentAttentionLM,
        texts: Sequence[Document],
        prompts: Sequence[str] | None,
    ) -> list[dict[str, Any]]:
        if prompts is None:
            prompts = ["", *(_opening(document.text) for document in texts[:NUM_PROMPTS])]
        config = GenerationConfig(
            max_tokens=SAMPLE_TOKENS, temperature=SAMPLE_TEMPERATURE, seed=self.seed
        )
        found = generate_batch(model, self.tokenizer, prompts, config)
        return [
            {
                "prompt": prompt,
                "text": sample.text,
                "tokens": sample.tokens,
                "finish": sample.finish,
                "seed": config.seed + index,
                "temperature": config.temperature,
            }
            for index, (prompt, sample) in enumerate(zip(prompts, found, strict=True))
        ]


def _opening(text: str) -> str:
    """The first words of a text."""
    start = text.lstrip()[: _PROMPT_CHARACTERS + 1]
    return start.rsplit(None, 1)[0] if len(start) > _PROMPT_CHARACTERS else start
