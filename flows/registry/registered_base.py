"""What the registry knows of a base, and how that is written as tags.

In: a `Base`, or a model version as MLflow answers.  Out: tags, or a `RegisteredBase`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from flows.registry.records import KIND, KIND_TAG
from flows.registry.versions import clean
from lmcore.model.pretrained.base import Base, BaseRecord

#: Of a version: key of the base that it was made from.
PRETRAINED_KEY_TAG = "pretrained_key"
_NAME_CHARACTERS = 60
_CARD_CHARACTERS = 3000


@dataclass(frozen=True, kw_only=True)
class RegisteredBase:
    """A registered base as its tags describe it.

    Attributes:
        model: Registered model.
        number: Version number.
        key: Of its folder.
        weights_sha256: Of its weights.
        manifest_sha256: Of the manifest of its folder.
        source: Where MLflow keeps its files.
        created: Milliseconds since 1970.
    """

    model: str
    number: int
    key: str
    weights_sha256: str
    manifest_sha256: str
    source: str
    created: int

    @property
    def designation(self) -> str:
        """Name and number as a person says them."""
        return f"{self.model} version {self.number}"


def base_tags(base: Base, record: BaseRecord, manifest_sha256: str) -> dict[str, str]:
    """Tags of a version with these files; `describe_base` reads them again."""
    known_until = record.known_until.isoformat() if record.known_until else ""
    files = json.dumps(record.files, sort_keys=True)
    tags = {
        KIND_TAG: KIND,
        "key": base.key,
        "weights_sha256": record.weights_sha256,
        "manifest_sha256": manifest_sha256,
        "name": record.name,
        "architecture": record.architecture,
        "parameters": str(record.parameters),
        "source": record.source,
        "license": record.license,
        "origin": record.origin,
        "known_until": known_until,
        "files": files,
    }
    return {name: clean(value) for name, value in tags.items() if value}


def version_tags(base: RegisteredBase) -> dict[str, str]:
    """Tags of a version that was made from it."""
    return {
        "pretrained": base.designation,
        PRETRAINED_KEY_TAG: base.key,
        "pretrained_weights": base.weights_sha256,
    }


def describe_base(version: Any) -> RegisteredBase:
    """Read MLflow's model version."""
    tags = {str(key): str(value) for key, value in version.tags.items()}
    return RegisteredBase(
        model=str(version.name),
        number=int(version.version),
        key=tags.get("key", ""),
        weights_sha256=tags.get("weights_sha256", ""),
        manifest_sha256=tags.get("manifest_sha256", ""),
        source=str(version.source),
        created=int(version.creation_timestamp),
    )


def description(record: BaseRecord) -> str:
    """What MLflow's page shows: the beginning of the card, whole in the files."""
    known = (
        f"text until {record.known_until}" if record.known_until else "text until an unknown day"
    )
    facts = (
        f"{record.architecture}, {record.parameters:,} weights, licence {record.license}, has read"
        f" {known}."
    )
    return clean(f"{facts}\n\n{clean(record.card, limit=_CARD_CHARACTERS)}".strip())


def model_name(record: BaseRecord) -> str:
    """Name of its registered model."""
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", record.name).strip("-.")
    return f"base-{words[:_NAME_CHARACTERS] or 'model'}"
