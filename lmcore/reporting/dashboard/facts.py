"""What a dashboard is made from: the versions, decisions and runs of every model, typed.

In: tags and results of a registry, which `flows.dashboard.page` gathers; anybody may have edited
them.  Out: frozen values in which whatever is unknown is empty, so that a page can be drawn of
models that were registered before something was recorded.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import AliasPath, Field

from lmcore.reporting.estimates import Estimate
from lmcore.reporting.values import (
    Amounts,
    Count,
    Entries,
    Fact,
    Maybe,
    MaybeText,
    Moment,
    Named,
    NeededMoment,
    NeededText,
    Number,
    Part,
    Text,
    Texts,
)
from lmcore.reporting.version.facts.data import Documents
from lmcore.reporting.version.facts.gates import Gate
from lmcore.reporting.version.facts.report import DEFAULT_METRIC, DEFAULT_TASK


class VersionEntry(Fact):
    """One registered version.

    Attributes:
        number: Version number.
        created: Time in UTC.
        outcome: promoted, registered or rejected.
        verdict: One sentence about the gates.
        begun_with: What it started from: a pretrained model, or a version; empty: random weights.
        aliases: champion, previous, challenger.
        quarantined: Why it was taken out of use, else None.
        metrics: By name.
        gates: In the order of evaluation, without evidence.
        documents: What it was trained and judged on.
        seconds: Wall clock by step; `total` is from start to end.
        core_seconds: Processor time of the run, in seconds; None: unknown.
        run_id: MLflow run that made it.
        flow_run_id: Prefect flow run that made it.
        report: Address of its report; empty: there is none to link to.
    """

    number: int
    created: datetime
    outcome: Text
    verdict: Text = ""
    begun_with: Text = ""
    aliases: Texts = ()
    quarantined: MaybeText = None
    metrics: Named[Estimate] = Field(default_factory=dict)
    gates: Entries[Gate] = ()
    documents: Part[Documents] = Documents()
    seconds: Amounts = Field(default_factory=dict)
    core_seconds: Number = None
    run_id: MaybeText = None
    flow_run_id: MaybeText = None
    report: Text = ""


class EventEntry(Fact):
    """One decision: promote, rollback, override, reject or forget, and who took it, and why.

    Attributes:
        at: Time in UTC.
        action: What was done.
        from_version: Champion before.
        to_version: Champion after; of a `reject`, the version that was refused.
        who: Person or process.
        reason: Why, in words.
    """

    at: NeededMoment
    action: Text
    from_version: Count = Field(None, alias="from")
    to_version: Count = Field(None, alias="to")
    who: Text = ""
    reason: Text = ""

    @property
    def moves_champion(self) -> bool:
        """Whether the champion is `to_version` after this event."""
        return self.action in ("promote", "rollback", "override")


class RunEntry(Fact):
    """One run of the pipeline, whether or not it made a version.

    Attributes:
        run_id: MLflow run.
        experiment_id: MLflow experiment that it belongs to.
        name: As MLflow shows it.
        state: RUNNING, FINISHED, FAILED or KILLED.
        started: Time in UTC; milliseconds are read, too.
        ended: The same; None while it goes on, or where nobody wrote its end.
        outcome: promoted, registered or rejected; empty where it did not come to a decision.
        version: Version that it made.
        flow_run_id: Prefect flow run.
    """

    run_id: Text
    experiment_id: Text
    name: Text
    state: Text
    started: datetime
    ended: datetime | None = None
    outcome: Text = Field("", validation_alias=AliasPath("tags", "outcome"))
    version: Text = Field("", validation_alias=AliasPath("tags", "version"))
    flow_run_id: Text = Field("", validation_alias=AliasPath("tags", "prefect_flow_run_id"))


class DriftEntry(Fact):
    """One look at text that arrived after training.

    Attributes:
        at: Time in UTC.
        difference: The statistic that decided, in bits per byte.
        outcome: STABLE, DRIFTED or INCONCLUSIVE.
        sentence: What was found, in words.
        version: Version that was watched.
    """

    at: NeededMoment
    outcome: NeededText
    difference: Part[Estimate] = Field(
        Estimate(), validation_alias=AliasPath("bits_per_byte", "difference")
    )
    sentence: Text = Field("", alias="reason")
    version: Count = Field(None, alias="champion")


class LastRun(Fact):
    """What the last run came to, one that found nothing new included."""

    outcome: NeededText
    at: Moment = None


class RunningJob(Fact):
    """What runs now.

    Attributes:
        job: Of which kind.
        model: That it works on; None: on none.
        sentence: How far it is, in words.
        percent: Of the step; None: nobody knows.
        began: In UTC.
        prefect_flow_run_id: Prefect flow run.
    """

    job: Text
    model: MaybeText = None
    sentence: Text = ""
    percent: Number = None
    began: Moment = None
    prefect_flow_run_id: MaybeText = None


class ModelHistory(Fact):
    """Everything that a page tells of one model.

    Attributes:
        model: Registered model.
        task: What it does.
        deciding: The metric that the gates decide on, which the page calls the result.
        higher_is_better: Direction of that metric.
        schedule: When it is trained again, as its configuration says; None: only when asked.
        next_run: When that is next, in words; empty: nobody knows.
        last_run: None where it was not noted.
        versions: Oldest first.
        events: Oldest first.
        runs: Newest first; the last ones.
        drift: Oldest first.
    """

    model: Text
    task: Text = DEFAULT_TASK
    deciding: Text = DEFAULT_METRIC
    higher_is_better: bool = False
    schedule: MaybeText = None
    next_run: Text = ""
    last_run: Maybe[LastRun] = None
    versions: Entries[VersionEntry] = ()
    events: Entries[EventEntry] = ()
    runs: Entries[RunEntry] = ()
    drift: Entries[DriftEntry] = ()

    @property
    def champion(self) -> VersionEntry | None:
        """The version in use."""
        return next((v for v in self.versions if "champion" in v.aliases), None)


class PipelineData(Fact):
    """The pipeline at one moment.

    Attributes:
        created: When this was read, in UTC.
        models: In the order of the page.
        mlflow_url: Address of MLflow's pages; None where there is no server to link to.
        prefect_url: Address of Prefect's pages; None where there is no server to link to.
        price_per_hour: Of the machine, in any currency; None: costs are not shown.
        running: What runs now.
        upcoming: Names of models that a schedule will train, and when, in words.
        refresh_seconds: After so many the page is asked for again; None: it is a file.
    """

    created: datetime
    models: tuple[ModelHistory, ...] = ()
    mlflow_url: MaybeText = None
    prefect_url: MaybeText = None
    price_per_hour: Number = None
    running: Entries[RunningJob] = ()
    upcoming: tuple[tuple[str, str], ...] = ()
    refresh_seconds: int | None = None
