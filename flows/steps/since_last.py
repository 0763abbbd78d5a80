"""What is new about a candidate since the last version of its model, for the report.

In: a candidate and the last version of its model.  Out: JSON values; empty where there is no
earlier version whose files can be read.  The last version, not the champion: a person asks what the
last change did.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import yaml

from flows.registry.history import read_history
from flows.registry.models import Registry
from flows.registry.versions import Version
from lmcore.errors import IntegrityError
from lmcore.evaluation.report import METRICS_FILE, SAMPLES_FILE
from lmcore.version_folder import VersionFolder

logger = logging.getLogger(__name__)

_SAMPLES = 2


def next_number(registry: Registry, model: str) -> int:
    """The number that the registry gives next; MLflow uses none twice.

    The page is stored inside the version, so it is written before.  One run of a model goes at a
    time on a machine; where another machine registers in between, the number is that much higher.
    """
    numbers = [0]
    if model in registry.models():
        numbers += [version.number for version in registry.versions(model)]
        events = read_history(registry, model).events
        numbers += [event.to_version for event in events if event.to_version is not None]
    return max(numbers) + 1


def since_last(
    last: tuple[Version, VersionFolder] | None,
    *,
    documents: Mapping[str, Any],
    ids: frozenset[str],
    config_yaml: str,
    code: str,
    metrics: Mapping[str, Any],
    samples: Any,
) -> dict[str, Any]:
    """What differs from the last version.

    Args:
        last: Of `last_readable`.
        documents: Summary of the candidate's document set.
        ids: Of its documents.
        config_yaml: Its configuration.
        code: Digest of what it was made with.
        metrics: By name.
        samples: Texts that it wrote.
    """
    if last is None:
        return {}
    version, folder = last
    try:
        before = {str(row["id"]) for row in folder.documents()}
        old_metrics = _json(folder, METRICS_FILE)
        return {
            "version": version.number,
            "outcome": _outcome(version),
            "documents": [len(before), documents.get("documents")],
            "added": len(ids - before),
            "removed": len(before - ids),
            "config": config_changes(folder.config, config_yaml),
            "code_changed": folder.lineage().get("code") != code,
            "metrics": [
                {"name": name, "before": old_metrics[name], "now": metric}
                for name, metric in metrics.items()
                if name in old_metrics
            ],
            "samples": sample_pairs(_json(folder, SAMPLES_FILE), samples),
        }
    except (OSError, ValueError, KeyError, TypeError, IntegrityError, yaml.YAMLError) as error:
        logger.warning("report: what has changed since version %d: %s", version.number, error)
        return {}


def last_readable(registry: Registry, model: str) -> tuple[Version, VersionFolder] | None:
    """The last version of a model whose files can be read, and these; None: there is none."""
    versions = registry.versions(model) if model in registry.models() else ()
    for version in reversed(versions):
        try:
            return version, registry.read(version)
        except IntegrityError as error:
            logger.warning("version %d: %s", version.number, error)
    return None


def config_changes(before: str, now: str) -> list[list[str]]:
    """Keys whose values differ: key, value before, value now; empty text where there is none."""
    old, new = (_flat(yaml.safe_load(text) or {}) for text in (before, now))
    return [
        [key, old.get(key, ""), new.get(key, "")]
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]


def sample_pairs(before: Any, now: Any) -> list[dict[str, str]]:
    """Texts that both wrote after one prompt; of several after it, the first ones."""
    known: dict[str, Mapping[str, Any]] = {}
    for sample in before:
        if isinstance(sample, Mapping):
            known.setdefault(_asked(sample), sample)
    pairs = []
    for sample in now:
        prompt = _asked(sample)
        if prompt in known:
            old, new = (str(one.get("text") or "") for one in (known[prompt], sample))
            pairs.append({"prompt": prompt, "before": old, "now": new})
    return pairs[:_SAMPLES]


def _asked(sample: Mapping[str, Any]) -> str:
    return str(sample.get("prompt") or "")


def _outcome(version: Version) -> str:
    """What became of it; one that failed is in use only because a person answered for it."""
    by_override = version.outcome == "promoted" and not version.passed
    return "promoted by override" if by_override else version.outcome


def _flat(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, Mapping):
        found: dict[str, str] = {}
        for key, inner in value.items():
            found |= _flat(inner, f"{path}.{key}" if path else str(key))
        return found
    return {path: json.dumps(value, ensure_ascii=False, default=str)}


def _json(folder: VersionFolder, name: str) -> Any:
    path = folder.evaluation / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
