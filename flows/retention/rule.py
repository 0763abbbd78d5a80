"""The retention rule of a configuration, followed after each run of it.

What `lmcore prune` does when somebody asks, a schedule has to do by itself, or disks fill: content
that no version names is left by every run that was stopped, refused its data, or retrained on more.
"""

from __future__ import annotations

import logging

from flows.home.locks import BusyError
from flows.registry.models import Registry
from flows.retention.left_over import FILES, may_have_left
from flows.retention.pruning import prune_registry
from lmcore.config import RunConfig
from lmcore.counted import counted
from lmcore.errors import LmcoreError

logger = logging.getLogger(__name__)


def follow_retention(registry: Registry, config: RunConfig) -> None:
    """Delete what the rule says; what goes wrong is said, and ends no run.

    Another run at work is left alone: what is old now is older after it.

    Args:
        registry: And its home.
        config: Of the run that has ended, and of its model.
    """
    rule = config.retention
    files = rule.content_days is not None and may_have_left(registry.home, days=rule.content_days)
    if rule.versions is None and not files:
        return
    try:
        found = prune_registry(
            registry, config.name, keep=rule.versions, content_days=rule.content_days
        )
    except BusyError:
        return
    except (LmcoreError, OSError) as error:
        logger.warning("retention: not everything that is old could be deleted (%s)", error)
        return
    if found["bytes"] or found["versions"]:
        logger.info(
            "retention: %s and %s deleted, %.1f MB in all",
            counted(len(found["versions"]), "version"),
            counted(
                sum(len(found[kind]) for kind in (*FILES, "shared")),
                "file or folder",
                "files and folders",
            ),
            found["bytes"] / 1e6,
        )
