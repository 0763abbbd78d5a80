"""The last step: make the version the champion, or write down why not."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from flows.registry.models import Registry
from flows.registry.promotion import me, promote, record_rejection
from flows.registry.run_result import Outcome
from flows.registry.versions import Version
from flows.steps.run import Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What became of a version."""

    outcome: Outcome
    reason: str
    champion: int | None


def promote_version(run: Run, version: Version, *, judged_against: int | None) -> Decision:
    """Act on the verdict.

    Args:
        run: Whether promotion is wanted.
        version: With its verdict.
        judged_against: The champion that it was compared with.

    Raises:
        PromotionConflictError: If the champion changed while the version was judged.
    """
    config, registry = run.config, Registry(run.home)
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
