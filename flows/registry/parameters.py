"""A nested configuration as the flat names and texts that MLflow stores."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flows.registry.versions import clean

KEY_CHARACTERS = 250


def flatten(config: Mapping[str, Any]) -> dict[str, str]:
    """A nested configuration as `section.key` to text, in MLflow's alphabet."""
    flat: dict[str, str] = {}

    def visit(prefix: str, value: object) -> None:
        if isinstance(value, Mapping) and value:
            for key, item in value.items():
                visit(f"{prefix}.{key}" if prefix else str(key), item)
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes) and value:
            for index, item in enumerate(value):
                visit(f"{prefix}.{index}", item)
        else:
            flat[valid_key(prefix)] = (
                value if isinstance(value, str) else json.dumps(value, default=str)
            )

    visit("", config)
    return flat


def valid_key(name: str) -> str:
    """A name in MLflow's alphabet and length."""
    return re.sub(r"[^\w\-. :/]", "_", clean(name), flags=re.ASCII)[:KEY_CHARACTERS]
