"""What the registry knows of one version, read from its tags.

In: a model version as MLflow answers.  Out: a `Version`.  Tags can be edited by anybody in
MLflow's page, so what does not parse is shown as unknown; what decides (the files) is verified
against hashes when it is used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from flows.registry.tag_values import read_object
from lmcore.errors import UserError
from lmcore.settings import MODEL_NAME
from lmcore.tasks.task import LANGUAGE_MODELLING

RUN_KEY_TAG = "lmcore.run_key"
#: Of a run: keys of the content folders that it has to do with.
CONTENT_TAG = "lmcore.content"
#: What a page over many versions needs, without the files of any.
GATES_TAG, DATA_TAG, COST_TAG = "gates", "data", "cost"
_REASON_CHARACTERS = 500
_LICENSES = 50
_TAG_CHARACTERS = 90_000
#: Of a model or a version; MLflow's column, which PostgreSQL holds it to.
DESCRIPTION_CHARACTERS = 5_000


@dataclass(frozen=True, kw_only=True)
class Version:
    """One registered version as the registry describes it.

    Attributes:
        model: Registered model.
        number: Version number.
        outcome: promoted, registered or rejected.
        passed: Whether every required gate said PASS.
        verdict: One sentence about the gates.
        run_key: Digest of what the run depended on.
        run_id: MLflow run that made it.
        aliases: champion, previous, challenger.
        weights_sha256: Of the weights file.
        manifest_sha256: Of the manifest of its folder.
        quarantined: Why it was taken out of use, else None.
        flow_run_id: Prefect flow run that made it.
        created: Time in UTC.
        source: Where MLflow keeps its files.
        tags: All tags as they are.
    """

    model: str
    number: int
    outcome: str
    passed: bool
    verdict: str
    run_key: str
    run_id: str | None
    aliases: tuple[str, ...]
    weights_sha256: str
    manifest_sha256: str
    quarantined: str | None
    flow_run_id: str | None
    created: datetime
    source: str
    tags: Mapping[str, str] = field(repr=False)

    @cached_property
    def metrics(self) -> Mapping[str, Any]:
        """Name to value, lower, upper, unit, n."""
        return _parse(self.tags.get("metrics"))

    @cached_property
    def fingerprints(self) -> Mapping[str, Any]:
        """Digests of data, tokenizer, config and weights; text or None each."""
        return _parse(self.tags.get("fingerprints"))

    @property
    def task(self) -> str:
        """What it is a model for."""
        return self.tags.get("task", LANGUAGE_MODELLING.name)

    def gates(self) -> list[Any]:
        """Outcome and sentence of each gate, without evidence; empty where nothing is recorded."""
        found = _parse(self.tags.get(GATES_TAG)).get("gates")
        return found if isinstance(found, list) else []

    def data(self) -> dict[str, Any]:
        """documents, bytes, and bytes by licence under `licenses`."""
        return _parse(self.tags.get(DATA_TAG))

    def cost(self) -> dict[str, Any]:
        """Wall-clock `seconds` by step, and `core_seconds` of all processes together."""
        return _parse(self.tags.get(COST_TAG))

    def to_json(self) -> dict[str, Any]:
        """The answer of `lmcore versions` for this version."""
        return {
            "version": self.number,
            "outcome": self.outcome,
            "aliases": list(self.aliases),
            "metrics": dict(self.metrics),
            "created": self.created.isoformat(timespec="seconds"),
            "verdict": self.verdict,
            "quarantined": self.quarantined,
        }


def check_name(name: str) -> str:
    """Give back a name that every part of the registry can hold.

    Raises:
        UserError: If it is not made of letters, digits, `_`, `.` and `-`.
    """
    if not re.fullmatch(MODEL_NAME, name):
        raise UserError(
            f"model name {name!r}: expected 1 to 100 letters, digits, '_', '.' or '-',"
            " the first one a letter or a digit."
        )
    return name


def describe(version: Any, aliases: Mapping[int, Sequence[str]]) -> Version:
    """Read MLflow's model version; `aliases` maps version numbers to their aliases."""
    tags = {str(key): str(value) for key, value in version.tags.items()}
    number = int(version.version)
    return Version(
        model=str(version.name),
        number=number,
        outcome=tags.get("outcome", "unknown"),
        passed=tags.get("passed") == "true",
        verdict=tags.get("verdict", ""),
        run_key=tags.get(RUN_KEY_TAG, ""),
        run_id=version.run_id or None,
        aliases=tuple(sorted(aliases.get(number, ()))),
        weights_sha256=tags.get("weights_sha256", ""),
        manifest_sha256=tags.get("manifest_sha256", ""),
        quarantined=tags.get("quarantined"),
        flow_run_id=tags.get("prefect_flow_run_id") or None,
        created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        source=str(version.source),
        tags=tags,
    )


def fact_tags(gates: Sequence[Mapping[str, Any]], documents: Mapping[str, Any]) -> dict[str, str]:
    """What gates said and what the text was, as tags: reading them opens no version's files.

    Args:
        gates: As in a version's `gates.json`.
        documents: Summary of the document set.
    """
    kept = ("gate", "required", "outcome", "value", "lower", "upper", "limit", "unit")
    said = [
        {
            **{key: gate.get(key) for key in kept},
            "reason": clean(str(gate.get("reason") or ""), limit=_REASON_CHARACTERS),
        }
        for gate in gates
    ]
    licenses = sorted((documents.get("licenses") or {}).items(), key=lambda pair: -pair[1])
    if rest := sum(size for _, size in licenses[_LICENSES:]):
        licenses = [*licenses[:_LICENSES], ("all others", rest)]
    data = {
        "documents": documents.get("documents"),
        "bytes": documents.get("bytes"),
        "licenses": {clean(name, limit=200): size for name, size in licenses},
    }
    return {GATES_TAG: to_tag({"gates": said}), DATA_TAG: to_tag(data)}


def to_tag(value: Mapping[str, Any]) -> str:
    """A mapping as the text of a tag."""
    text = json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    assert len(text) <= _TAG_CHARACTERS, f"a tag of {len(text)} characters"
    return text


def clean(text: str, *, limit: int = _TAG_CHARACTERS) -> str:
    """Text that every store takes: PostgreSQL refuses NUL, and none takes half a surrogate pair."""
    text = text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _parse(text: str | None) -> dict[str, Any]:
    return read_object(text) or {}
