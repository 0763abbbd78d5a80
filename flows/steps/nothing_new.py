"""A run that finds nothing new: which version has answered it already, and what is said then."""

from __future__ import annotations

from flows.registry.models import Registry
from flows.registry.run_result import RunResult
from flows.registry.versions import Version
from flows.steps.run_key import RunKey
from flows.steps.stopwatch import Stopwatch
from lmcore.config import RunConfig


def finished_versions(registry: Registry, name: str, key: RunKey) -> list[Version]:
    """Versions that finished runs of this key registered, forced repetitions included.

    A run that was killed after its promotion has done all that it was asked for.
    """
    return [
        version
        for version in registry.versions(name)
        if version.tags.get("run_base") == key.base
        and (version.tags.get("run_complete") or "champion" in version.aliases)
    ]


def nothing_new(
    registry: Registry,
    config: RunConfig,
    version: Version,
    *,
    watch: Stopwatch,
    flow_run_id: str | None = None,
) -> RunResult:
    """The answer of a run whose data, configuration and code are those of a version."""
    when = version.created.strftime("%Y-%m-%d %H:%M UTC")
    aliases = f", {' and '.join(version.aliases)}" if version.aliases else ""
    return RunResult(
        outcome="skipped",
        reason=f"nothing new: data, configuration and code are those of version {version.number}"
        f" ({version.outcome}{aliases}, {when}); --force trains again",
        task=config.task,
        model=config.name,
        champion=registry.aliases(config.name).get("champion"),
        prefect_flow_run_id=flow_run_id,
        fingerprints={**version.fingerprints, "weights": None},
        seconds=watch.total(),
    )
