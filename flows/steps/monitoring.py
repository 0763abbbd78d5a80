"""What a monitoring looks at, and its answer, without a model or Prefect.

In: a configuration, its champion and what was kept of the requests to it.  Out: the digest of all
that an answer depends on, and the answer itself, put together of what was measured.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.registry.models import Registry
from flows.registry.promotion import settle
from flows.registry.versions import Version
from flows.steps.run_key import data_digest, processor_name, run_key
from lmcore.config import RunConfig
from lmcore.data.copies.removal import Removals
from lmcore.data.requests.lines import Asked, Feedback, written
from lmcore.data.requests.parts import ASKED, FEEDBACK, read_lines
from lmcore.data.sources.located import SourceFingerprint
from lmcore.digests import digest
from lmcore.errors import NotFoundError
from lmcore.model.config import PretrainedConfig

logger = logging.getLogger(__name__)

Answer = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class InUse:
    """What was kept of the requests to a model.

    Attributes:
        asked: Requests, oldest first.
        feedback: What people said of answers, oldest first.
    """

    asked: tuple[Asked, ...]
    feedback: tuple[Feedback, ...]

    @classmethod
    def read(cls, folder: Path) -> InUse:
        """From the folder of a model; empty where nothing was kept."""

        def damaged(path: Path) -> None:
            logger.warning("%s is damaged, so its requests are not counted", path)

        asked = read_lines(folder / ASKED, on_damaged=damaged)
        feedback = read_lines(folder / FEEDBACK, on_damaged=damaged)
        return cls(
            asked=tuple(line for line in asked if isinstance(line, Asked)),
            feedback=tuple(line for line in feedback if isinstance(line, Feedback)),
        )

    def __bool__(self) -> bool:
        return bool(self.asked or self.feedback)

    @property
    def digest(self) -> str:
        """Another one where anything else was kept."""
        lines: list[Asked | Feedback] = [*self.asked, *self.feedback]
        return digest([written(line).decode() for line in lines])


def champion_to_monitor(registry: Registry, name: str) -> Version:
    """The version in use.

    Raises:
        NotFoundError: If there is none.
    """
    settle(registry, name)
    number = registry.aliases(name).get("champion")
    if number is None:
        raise NotFoundError(
            f"model {name} has no champion to monitor; make one with `lmcore run`, or promote a"
            " version with `lmcore promote`."
        )
    return registry.version(name, number)


def monitor_key(
    config: RunConfig,
    champion: Version,
    use: InUse,
    *,
    sources: SourceFingerprint | None,
    removals: Removals,
) -> str:
    """Digest of all that an answer depends on, also the machine, which may move scores.

    Args:
        config: The pipeline's configuration.
        champion: The version in use.
        use: What was kept of the requests to it.
        sources: The sources' files; None for a task, whose answer does not depend on them.
        removals: What must be forgotten by now.
    """
    run = run_key(
        data="" if sources is None else data_digest(sources.digest, removals),
        config=digest([config.fingerprint(), config.monitor.model_dump(mode="json")]),
        pretrained=isinstance(config.model, PretrainedConfig),
    )
    return digest([run.base, champion.manifest_sha256, use.digest, processor_name()])


def answer_of(
    config: RunConfig,
    champion: Version,
    measured: Mapping[str, Any],
    *,
    right: Mapping[str, Any] | None = None,
    told: bool = False,
    flow_run_id: str | None = None,
    unchanged_since: str | None = None,
) -> Answer:
    """The answer; of all that was looked at, what has drifted speaks first.

    Args:
        config: The pipeline's configuration.
        champion: The version in use.
        measured: Of documents, and of what was asked.
        right: How often the version is right in use; None: that was not looked at.
        told: Whether anybody said anything of its answers.
        flow_run_id: Prefect flow run.
        unchanged_since: When that was measured which still holds; None: it was measured now.
    """
    said = [measured] if measured["documents"] is not None else []
    said += [measured["requests"]] if measured["requests"] is not None else []
    said += [right] if right is not None and (told or not said) else []
    first = next((one for one in said if one["outcome"] == "DRIFTED"), said[0])
    as_of = config.data.as_of
    return {
        "model": config.name,
        "champion": champion.number,
        "at": now(),
        "as_of": as_of.isoformat() if as_of else None,
        **measured,
        "outcome": first["outcome"],
        "reason": first["reason"],
        "feedback": right if told else None,
        "unchanged_since": unchanged_since,
        "prefect_flow_run_id": flow_run_id,
    }


def now() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
