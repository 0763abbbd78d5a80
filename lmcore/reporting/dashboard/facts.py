"""What a dashboard is made from: the versions, decisions and runs of every model, typed.

In: tags and results of a registry, which `flows.dashboard.page` gathers; anybody may have edited
them.  Out: frozen values in which whatever is unknown is empty, so that a page can be drawn of
models that were registered before something was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from lmcore.reporting.estimates import Estimate
from lmcore.reporting.values import instant, mapping, text, whole
from lmcore.reporting.version.facts.data import Documents
from lmcore.reporting.version.facts.gates import Gate
from lmcore.reporting.version.facts.report import DEFAULT_METRIC, DEFAULT_TASK, Timings


@dataclass(frozen=True, kw_only=True)
class VersionEntry:
    """One registered version.

    Attributes:
        number: Version number.
        created: Time in UTC.
        outcome: promoted, registered or rejected.
        verdict: One sentence about the gates.
        aliases: champion, previous, challenger.
        quarantined: Why it was taken out of use, else None.
        metrics: By name.
        gates: In the order of evaluation, without evidence.
        documents: What it was trained and judged on.
        timings: Wall clock of the run.
        core_seconds: Processor time of the run, in seconds; None: unknown.
        run_id: MLflow run that made it.
        flow_run_id: Prefect flow run that made it.
    """

    number: int
    created: datetime
    outcome: str
    verdict: str = ""
    aliases: Sequence[str] = ()
    quarantined: str | None = None
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    gates: Sequence[Gate] = ()
    documents: Documents = field(default_factory=Documents)
    timings: Timings = field(default_factory=Timings)
    core_seconds: float | None = None
    run_id: str | None = None
    flow_run_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class EventEntry:
    """One decision: promote, rollback, override, reject or forget, and who took it, and why.

    Attributes:
        at: Time in UTC.
        action: What was done.
        from_version: Champion before.
        to_version: Champion after; of a `reject`, the version that was refused.
        who: Person or process.
        reason: Why, in words.
    """

    at: datetime
    action: str
    from_version: int | None
    to_version: int | None
    who: str
    reason: str

    @property
    def moves_champion(self) -> bool:
        """Whether the champion is `to_version` after this event."""
        return self.action in ("promote", "rollback", "override")


@dataclass(frozen=True, kw_only=True)
class RunEntry:
    """One run of the pipeline, whether or not it made a version.

    Attributes:
        run_id: MLflow run.
        experiment_id: MLflow experiment that it belongs to.
        name: As MLflow shows it.
        state: RUNNING, FINISHED, FAILED or KILLED.
        started: Time in UTC.
        ended: Time in UTC; None while it goes on, or where nobody wrote its end.
        outcome: promoted, registered or rejected; empty where it did not come to a decision.
        version: Version that it made.
        flow_run_id: Prefect flow run.
    """

    run_id: str
    experiment_id: str
    name: str
    state: str
    started: datetime
    ended: datetime | None = None
    outcome: str = ""
    version: str = ""
    flow_run_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class DriftEntry:
    """One look at text that arrived after training.

    Attributes:
        at: Time in UTC.
        difference: The statistic that decided.
        outcome: STABLE, DRIFTED or INCONCLUSIVE.
        sentence: What was found, in words.
        version: Version that was watched.
    """

    at: datetime
    outcome: str
    difference: Estimate = field(default_factory=Estimate)
    sentence: str = ""
    version: int | None = None

    @classmethod
    def from_json(cls, raw: object) -> Self | None:
        """Read an answer of monitoring; None where it has no time or outcome."""
        found = mapping(raw)
        at, outcome = instant(found.get("at")), text(found.get("outcome"))
        if at is None or not outcome:
            return None
        compared = mapping(mapping(found.get("bits_per_byte")).get("difference"))
        return cls(
            at=at,
            outcome=outcome,
            difference=Estimate.from_json({**compared, "unit": "bits/byte"}),
            sentence=text(found.get("reason")),
            version=whole(found.get("champion")),
        )


@dataclass(frozen=True, kw_only=True)
class LastRun:
    """What the last run came to, one that found nothing new included."""

    outcome: str
    at: datetime | None

    @classmethod
    def from_json(cls, raw: object) -> Self | None:
        """Read the note of the last run; None where it has no outcome."""
        found = mapping(raw)
        outcome = text(found.get("outcome"))
        return cls(outcome=outcome, at=instant(found.get("at"))) if outcome else None


@dataclass(frozen=True, kw_only=True)
class ModelHistory:
    """Everything that a page tells of one model.

    Attributes:
        model: Registered model.
        task: What it does.
        deciding: The metric that the gates decide on, which the page calls the result.
        schedule: When it is trained again, as its configuration says; None: only when asked.
        last_run: None where it was not noted.
        versions: Oldest first.
        events: Oldest first.
        runs: Newest first; the last ones.
        drift: Oldest first.
    """

    model: str
    task: str = DEFAULT_TASK
    deciding: str = DEFAULT_METRIC
    schedule: str | None = None
    last_run: LastRun | None = None
    versions: Sequence[VersionEntry] = ()
    events: Sequence[EventEntry] = ()
    runs: Sequence[RunEntry] = ()
    drift: Sequence[DriftEntry] = ()

    @property
    def champion(self) -> VersionEntry | None:
        """The version in use."""
        return next((v for v in self.versions if "champion" in v.aliases), None)


@dataclass(frozen=True, kw_only=True)
class PipelineData:
    """The pipeline at one moment.

    Attributes:
        created: When this was read, in UTC.
        models: In the order of the page.
        mlflow_url: Address of MLflow's pages; None where there is no server to link to.
        prefect_url: Address of Prefect's pages; None where there is no server to link to.
        price_per_hour: Of the machine, in any currency; None: costs are not shown.
    """

    created: datetime
    models: Sequence[ModelHistory] = ()
    mlflow_url: str | None = None
    prefect_url: str | None = None
    price_per_hour: float | None = None
