"""The bytes of the sources, hashed once a process for as long as no file changes.

In: source sections of a configuration.  Out: their fingerprint.  A run asks twice whether anything
is new, first without Prefect and then as a step of its own; a walk through days asks each day.
What was found is given again only where names, sizes, inodes and both times of every file are
those of before.  The time of a change of state (ctime) cannot be set back, and where a file changed
as the hashing began, no time tells another change from that one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmcore.data.config import SourceConfig
from lmcore.data.sources.located import (
    SourceFingerprint,
    fingerprint_sources,
    glance_at_sources,
)
from lmcore.digests import digest
from lmcore.typed_path import is_address

#: The coarsest clock of a file system.
_TICK_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class _Known:
    stamp: str
    found: SourceFingerprint


_known: dict[str, _Known] = {}


def fingerprint_once(sources: Sequence[SourceConfig]) -> SourceFingerprint:
    """Find and hash every file of every source, or give what this process found before.

    Raises:
        SourceError: If a path, package or data set does not exist, or holds no file.
    """
    if not all(_shows_changes(source) for source in sources):
        return fingerprint_sources(sources)
    key = digest([source.model_dump(mode="json") for source in sources])
    if (known := _known.get(key)) is not None and _stamp(sources, known.found) == known.stamp:
        return known.found
    _known.pop(key, None)
    begun, glance = time.time(), glance_at_sources(sources)
    found = fingerprint_sources(sources)
    states = _states(found)
    if glance == glance_at_sources(sources) and _at_rest(states, since=begun - _TICK_SECONDS):
        _known[key] = _Known(stamp=digest([glance, states]), found=found)
    return found


def _shows_changes(source: SourceConfig) -> bool:
    """Whether a glance sees what a fingerprint sees; a hub, a store, and what grows it does not."""
    if is_address(source.path or ""):
        return False
    return source.requests is None and (source.dataset is None or Path(source.dataset).is_dir())


def _stamp(sources: Sequence[SourceConfig], found: SourceFingerprint) -> str:
    return digest([glance_at_sources(sources), _states(found)])


def _states(found: SourceFingerprint) -> list[Any]:
    """Times of change of every file that was hashed; None for one that is gone."""
    states: list[Any] = []
    for source in found.sources:
        for file in (*source.files, *source.targets):
            try:
                state = file.path.stat()
                states.append([state.st_ctime_ns, state.st_mtime_ns, state.st_dev])
            except OSError:
                states.append(None)
    return states


def _at_rest(states: Sequence[Any], *, since: float) -> bool:
    return all(state is not None and max(state[:2]) < since * 1e9 for state in states)
