"""One version, or one candidate, and the evidence about it.

In: what the steps left, as JSON values, gathered by whoever calls.  Out: `ReportData`.  Everything
but the model's name and the outcome may be missing, because a report must also come out of a first
version, of a rejected candidate and of a run without samples.  Values rather than handles: a
report can be drawn on another machine, and a test needs no pipeline to make one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from lmcore.errors import UserError
from lmcore.reporting.estimates import Estimate, read_metrics
from lmcore.reporting.tables import Table, pairs
from lmcore.reporting.values import amounts, finite, items, mapping, mappings, text, whole
from lmcore.reporting.version.facts.data import Account, Documents, Source
from lmcore.reporting.version.facts.gates import Gate, read_gates

OUTCOMES = ("passed", "promoted", "registered", "rejected", "skipped")
DEFAULT_TASK, DEFAULT_METRIC = "language_modelling", "val_bits_per_byte"


@dataclass(frozen=True, kw_only=True)
class LogPoint:
    """A line of the training log; None: not measured then.

    Attributes:
        step: Of training.
        loss_nats: Training loss.
        learning_rate: Used in this step.
        tune_bits_per_byte: On the tune split, of language modelling.
        tune_loss_nats: On the tune split, of a task.
    """

    step: float
    loss_nats: float | None = None
    learning_rate: float | None = None
    tune_bits_per_byte: float | None = None
    tune_loss_nats: float | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self | None:
        """Read a line; None where it names no step."""
        step = finite(raw.get("step"))
        if step is None:
            return None
        return cls(
            step=step,
            loss_nats=finite(raw.get("loss_nats")),
            learning_rate=finite(raw.get("learning_rate")),
            tune_bits_per_byte=finite(raw.get("tune_bits_per_byte")),
            tune_loss_nats=finite(raw.get("tune_loss_nats")),
        )

    @property
    def look(self) -> float | None:
        """What a look at the tune split measured."""
        known = self.tune_bits_per_byte
        return self.tune_loss_nats if known is None else known


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Text of the model after a prompt, or its answer; `kind` says which of a task's answers."""

    prompt: str
    text: str
    kind: str = ""
    seed: float | None = None
    temperature: float | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read one entry of `samples.json`."""
        return cls(
            prompt=text(raw.get("prompt")),
            text=text(raw.get("text")),
            kind=text(raw.get("kind")),
            seed=finite(raw.get("seed")),
            temperature=finite(raw.get("temperature")),
        )


@dataclass(frozen=True, kw_only=True)
class AttentionMap:
    """Which words of its text an answer looked at.

    Attributes:
        kind: Which answer.
        readers: Who looked: a word of the answer, or a place.
        words: Of the text.
        shares: Of each reader's attention, [readers, words], not negative.
    """

    kind: str
    readers: tuple[str, ...]
    words: tuple[str, ...]
    shares: tuple[tuple[float, ...], ...]

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read one entry of `attention.json`; a share that is no number is nothing."""
        return cls(
            kind=text(raw.get("kind")),
            readers=tuple(text(name) for name in items(raw.get("readers"))),
            words=tuple(text(word) for word in items(raw.get("words"))),
            shares=tuple(
                tuple(max(0.0, finite(share) or 0.0) for share in items(row))
                for row in items(raw.get("shares"))
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Wall clock in seconds, by step and from start to end."""

    steps: Mapping[str, float] = field(default_factory=dict)
    total: float | None = None

    @classmethod
    def from_json(cls, raw: object) -> Self:
        """Read seconds by step, with all of them as `total`."""
        steps = amounts(raw)
        return cls(total=steps.pop("total", None), steps=steps)

    @property
    def whole(self) -> float:
        """From start to end; the sum of the steps where that was not measured."""
        return self.total or sum(self.steps.values())


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """One version, or one candidate, and the evidence about it.

    Attributes:
        model: Registered name.
        outcome: promoted, registered, rejected or skipped; `passed` where the page is written
            before it is decided what becomes of a version whose gates all passed.
        task: language_modelling, sentiment, translation or summarization.
        deciding: The metric that the gates decide on, which the page calls the result.
        version: Number in the registry; None for a candidate without one.
        reason: One sentence: why this outcome.
        created: ISO 8601 time.
        metrics: By name, the one that decides first.
        champion: Version of the champion that it was compared with.
        gates: In the order of evaluation.
        curve: The training log.
        best_step: Step of the weights that were kept; None: the lowest of the tune split.
        documents: Summary of the document set.
        account: What cleaning did, and what a task did to its data.
        sources: In the order of the configuration.
        samples: Text of the model.
        tables: What a task shows beside its metrics.
        attention: Which words of its text an answer looked at.
        base: Name and version of the language model that a task started from.
        timings: Wall clock.
        fingerprints: Digests by name: data, tokenizer, config, weights, code, libraries.
        config_yaml: The resolved configuration.
        planned_steps: Of training; None: not known.
        plan: What training resolved, as names and texts.
        environment: The machine and the libraries, as names and texts.
    """

    model: str
    outcome: str
    task: str = DEFAULT_TASK
    deciding: str = DEFAULT_METRIC
    version: int | None = None
    reason: str = ""
    created: str = ""
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    champion: int | None = None
    gates: Sequence[Gate] = ()
    curve: Sequence[LogPoint] = ()
    best_step: int | None = None
    documents: Documents = field(default_factory=Documents)
    account: Account = field(default_factory=Account)
    sources: Sequence[Source] = ()
    samples: Sequence[Sample] = ()
    tables: Sequence[Table] = ()
    attention: Sequence[AttentionMap] = ()
    base: str = ""
    timings: Timings = field(default_factory=Timings)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    config_yaml: str = ""
    planned_steps: float | None = None
    plan: Sequence[tuple[str, str]] = ()
    environment: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise UserError(
                f"report: outcome={self.outcome!r}; expected one of {', '.join(OUTCOMES)}."
            )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what the steps left: JSON values under the names of the attributes.

        `plan` is a mapping of which `steps` are the planned ones, `seconds` becomes `timings`, and
        `account` holds `rules`, a list of {rule, action, documents, bytes, reason}, and anything
        else by name.

        Raises:
            UserError: If the outcome is none of `OUTCOMES`.
        """
        deciding = text(values.get("deciding")) or DEFAULT_METRIC
        metrics = read_metrics(values.get("metrics"))
        if deciding in metrics:
            metrics = {deciding: metrics[deciding], **metrics}
        curve = (LogPoint.from_json(line) for line in mappings(values.get("curve")))
        tables = (Table.from_json(table) for table in mappings(values.get("tables")))
        fingerprints = mapping(values.get("fingerprints")).items()
        return cls(
            model=text(values.get("model")),
            outcome=text(values.get("outcome")),
            task=text(values.get("task")) or DEFAULT_TASK,
            deciding=deciding,
            version=whole(values.get("version")),
            reason=text(values.get("reason")),
            created=text(values.get("created")),
            metrics=metrics,
            champion=whole(values.get("champion")),
            gates=read_gates(values.get("gates")),
            curve=[point for point in curve if point is not None],
            best_step=whole(values.get("best_step")),
            documents=Documents.from_json(values.get("documents")),
            account=Account.from_json(values.get("account")),
            sources=[Source.from_json(source) for source in mappings(values.get("sources"))],
            samples=[Sample.from_json(sample) for sample in mappings(values.get("samples"))],
            tables=[table for table in tables if table is not None],
            attention=[AttentionMap.from_json(e) for e in mappings(values.get("attention"))],
            base=text(values.get("base")),
            timings=Timings.from_json(values.get("seconds")),
            fingerprints={name: text(digest) for name, digest in fingerprints if text(digest)},
            config_yaml=text(values.get("config_yaml")),
            planned_steps=finite(mapping(values.get("plan")).get("steps")),
            plan=pairs(values.get("plan")),
            environment=pairs(values.get("environment")),
        )

    @property
    def designation(self) -> str:
        """Which one of the model's versions: its number, else its weights, else nothing is known.

        The page is stored inside the version, so it is written before there is a number.
        """
        if self.version:
            return f"version {self.version}"
        weights = self.fingerprints.get("weights")
        return f"weights {weights[:8]}" if weights else "candidate"

    @property
    def title(self) -> str:
        """Model and version as a person says them."""
        return f"{self.model}, {self.designation}"
