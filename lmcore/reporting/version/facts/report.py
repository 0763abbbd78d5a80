"""One version, or one candidate, and the evidence about it.

In: what the steps left, as JSON values, gathered by whoever calls.  Out: `ReportData`.  Everything
but the model's name and the outcome may be missing, because a report must also come out of a first
version, of a rejected candidate and of a run without samples.  Values rather than handles: a
report can be drawn on another machine, and a test needs no pipeline to make one.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasPath, Field, PlainValidator, ValidationInfo, field_validator

from lmcore.reporting.estimates import Estimate
from lmcore.reporting.tables import Table, pairs, read_tables
from lmcore.reporting.values import (
    Amounts,
    Count,
    Entries,
    Fact,
    Named,
    NeededNumber,
    Number,
    Part,
    Text,
    Texts,
    finite,
    items,
    mapping,
    text,
    text_or,
)
from lmcore.reporting.version.facts.changes import Changes
from lmcore.reporting.version.facts.data import Account, Documents, Pretrained, Source
from lmcore.reporting.version.facts.gates import Gate

DEFAULT_TASK, DEFAULT_METRIC = "language_modelling", "val_bits_per_byte"
#: What a model gives back, by its task; a text of its own where the task is another.
_ANSWERS = {DEFAULT_TASK: "continuation", "sentiment": "label"}
Pairs = Annotated[tuple[tuple[str, str], ...], PlainValidator(pairs)]


def _digests(raw: object) -> dict[str, str]:
    return {name: text(digest) for name, digest in mapping(raw).items() if text(digest)}


def _shares(raw: object) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(max(0.0, finite(v) or 0.0) for v in items(row)) for row in items(raw))


class LogPoint(Fact):
    """A line of the training log; None: not measured then.

    Attributes:
        step: Of training.
        loss_nats: Training loss.
        learning_rate: Used in this step.
        tune_bits_per_byte: On the tune split, of language modelling.
        tune_loss_nats: On the tune split, of a task.
    """

    step: NeededNumber
    loss_nats: Number = None
    learning_rate: Number = None
    tune_bits_per_byte: Number = None
    tune_loss_nats: Number = None

    @property
    def look(self) -> float | None:
        """What a look at the tune split measured."""
        known = self.tune_bits_per_byte
        return self.tune_loss_nats if known is None else known


class Sample(Fact):
    """Text of the model after a prompt, or its answer; `kind` says which of a task's answers."""

    prompt: Text = ""
    text: Text = ""
    kind: Text = ""
    seed: Number = None
    temperature: Number = None


class AttentionMap(Fact):
    """Which words of its text an answer looked at.

    Attributes:
        kind: Which answer.
        readers: Who looked: a word of the answer, or a place.
        words: Of the text.
        shares: Of each reader's attention, [readers, words]; what is no share is nothing.
    """

    kind: Text = ""
    readers: Texts = ()
    words: Texts = ()
    shares: Annotated[tuple[tuple[float, ...], ...], PlainValidator(_shares)] = ()


class ReportData(Fact):
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
        budget: How much the gates asked of the models within which time; empty: all of it.
        curve: The training log.
        best_step: Step of the weights that were kept; None: the lowest of the tune split.
        documents: Summary of the document set.
        account: What cleaning did, and what a task did to its data.
        sources: In the order of the configuration.
        samples: Text of the model.
        changes: What is new since the last version.
        tables: What a task shows beside its metrics.
        attention: Which words of its text an answer looked at.
        base: Name and version of the language model that a task started from.
        pretrained: The model that the weights were made from; without a name: none.
        seconds: Wall clock by step; `total` is from start to end.
        fingerprints: Digests by name: data, tokenizer, config, weights, code, libraries.
        config_yaml: The resolved configuration.
        plan: What training resolved, as names and texts.
        planned_steps: Of training; None: not known.
        environment: The machine and the libraries, as names and texts.
        tracking_uri: Where MLflow keeps it; empty: in a home in the working directory.
    """

    model: Text
    outcome: Literal["passed", "promoted", "registered", "rejected", "skipped"]
    task: Annotated[str, text_or(DEFAULT_TASK)] = DEFAULT_TASK
    deciding: Annotated[str, text_or(DEFAULT_METRIC)] = DEFAULT_METRIC
    version: Count = None
    reason: Text = ""
    created: Text = ""
    metrics: Named[Estimate] = Field(default_factory=dict)
    champion: Count = None
    gates: Entries[Gate] = ()
    budget: Text = ""
    curve: Entries[LogPoint] = ()
    best_step: Count = None
    documents: Part[Documents] = Documents()
    account: Part[Account] = Account()
    sources: Entries[Source] = ()
    samples: Entries[Sample] = ()
    changes: Part[Changes] = Changes()
    tables: Annotated[tuple[Table, ...], PlainValidator(read_tables)] = ()
    attention: Entries[AttentionMap] = ()
    base: Text = ""
    pretrained: Part[Pretrained] = Pretrained()
    seconds: Amounts = Field(default_factory=dict)
    fingerprints: Annotated[dict[str, str], PlainValidator(_digests)] = Field(default_factory=dict)
    config_yaml: Text = ""
    plan: Pairs = ()
    planned_steps: Number = Field(None, validation_alias=AliasPath("plan", "steps"))
    environment: Pairs = ()
    tracking_uri: Text = ""

    @field_validator("metrics")
    @classmethod
    def _result_first(
        cls, metrics: dict[str, Estimate], info: ValidationInfo
    ) -> dict[str, Estimate]:
        first = info.data["deciding"]
        return {first: metrics[first], **metrics} if first in metrics else metrics

    @property
    def answer(self) -> str:
        """What the model gives back: a continuation, a label, or a text."""
        return _ANSWERS.get(self.task, "text")

    @property
    def total_seconds(self) -> float:
        """From start to end; the sum of the steps where that was not measured."""
        return self.seconds.get("total") or sum(self.seconds.values())

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
