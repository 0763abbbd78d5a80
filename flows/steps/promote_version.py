"""The last step: make the version the champion, or write down why not, as a Prefect task."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.home.environment import Home
from flows.registry.models import Registry
from flows.registry.promotion import me, promote, record_rejection
from flows.registry.run_result import Outcome
from flows.registry.versions import Version
from lmcore.config import RunConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What became of a version."""

    outcome: Outcome
    reason: str
    champion: int | None


@task(name="promote", task_run_name="promote {config.name}", cache_policy=NO_CACHE)
def promote_version(
    config: RunConfig, version: Version, judged_against: int | None, home: Home
) -> Decision:
    """Act on the verdict.

    Raises:
        PromotionConflictError: If the champion changed while the version was judged.
    """
    registry = Registry(home)
    if not version.passed:
        record_rejection(registry, config.name, version.number, who=me(), reason=version.verdict)
        return Decision(
            outcome="rejected",
            reason=version.verdict,
            champion=registry.aliases(config.name).get("champion"),
        )
    if not config.promote:
        return Decision(
            outcome="registered",
            reason=f"{version.verdict}; promotion is switched off (promote: false)",
            champion=registry.aliases(config.name).get("champion"),
        )
    if registry.aliases(config.name).get("champion") == version.number:
        # A run that was killed right after its promotion.
        return Decision(outcome="promoted", reason=version.verdict, champion=version.number)
    before = f"replaces version {judged_against}" if judged_against else "is the first champion"
    promotion = promote(
        registry,
        config.name,
        version.number,
        expected_champion=judged_against,
        who=me(),
        reason=f"{version.verdict}; {before}",
    )
    return Decision(
        outcome="promoted",
        reason=f"{version.verdict}; {before}",
        champion=promotion.champion,
    )
