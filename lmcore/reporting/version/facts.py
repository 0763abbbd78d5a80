"""What a report is made of: plain JSON values, gathered from the steps by whoever calls.

Everything but the model's name and the outcome may be missing, because a report must also
come out of a first version, of a rejected candidate and of a run without samples.  Plain
values rather than handles: a report can be drawn again from a stored version on another
machine, `ReportData(**json.loads(text))`, and a test needs no pipeline to make one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lmcore.errors import UserError

OUTCOMES = ("passed", "promoted", "registered", "rejected", "skipped")


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """One version, or one candidate, and the evidence about it.

    Attributes:
        model: Registered name.
        outcome: promoted, registered, rejected or skipped; `passed` where the page is written
            before it is decided what becomes of a version whose gates all passed.
        task: language_modelling, sentiment, translation or summarization.
        version: Number in the registry; None for a candidate without one.
        reason: One sentence: why this outcome.
        created: ISO 8601 time.
        metrics: Name to {value, lower, upper, unit, n}; `lower` and `upper` are one-sided
            95 % bounds each.
        champion: Version of the champion that it was compared with.
        champion_metrics: The same for that champion, as recorded when it was made; a metric
            that this run measured itself (`champion_...` in `metrics`) takes precedence.
        gates: {gate, required, outcome, value, lower, upper, limit, unit, reason} each.
        curve: Rows of the training log: step, and any of loss_nats, learning_rate,
            tune_bits_per_byte, tokens, seconds.
        best_step: Step of the weights that were kept; None: the lowest tune_bits_per_byte.
        documents: Summary of the document set: counts and bytes by split, duplicates, licences.
        ledger: What cleaning did. `rules` is a list of {rule, action, documents, bytes,
            reason}; every other entry is shown as a fact or a small table.
        sources: {license, origin, documents, bytes} each, in the order of the configuration.
        samples: {prompt, text, seed, temperature} each, or {prompt, text, kind} of a task.
        tables: {caption, header, rows, note} each: what a task shows beside its metrics.
        attention: {kind, readers, words, shares} each: which words of its text an answer looked at.
        base: Name and version of the language model that a task started from.
        seconds: Wall clock by step; `total` is shown apart.
        fingerprints: data, tokenizer, config, weights, code, lock.
        config_yaml: The resolved configuration.
        plan: What training resolved: steps, precision, threads, device, seed.
        environment: The machine and the libraries.
        languages: BCP 47 tags of the text, where its owner states them.
    """

    model: str
    outcome: str
    task: str = "language_modelling"
    version: int | None = None
    reason: str = ""
    created: str = ""
    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    champion: int | None = None
    champion_metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    gates: Sequence[Mapping[str, Any]] = ()
    curve: Sequence[Mapping[str, Any]] = ()
    best_step: int | None = None
    documents: Mapping[str, Any] = field(default_factory=dict)
    ledger: Mapping[str, Any] = field(default_factory=dict)
    sources: Sequence[Mapping[str, Any]] = ()
    samples: Sequence[Mapping[str, Any]] = ()
    tables: Sequence[Mapping[str, Any]] = ()
    attention: Sequence[Mapping[str, Any]] = ()
    base: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    fingerprints: Mapping[str, str | None] = field(default_factory=dict)
    config_yaml: str = ""
    plan: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    languages: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise UserError(
                f"report: outcome={self.outcome!r}; expected one of {', '.join(OUTCOMES)}."
            )

    def to_json(self) -> dict[str, Any]:
        """The data as plain JSON values."""
        return asdict(self)

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
