"""Names that read well in the pages of Prefect and MLflow."""

from __future__ import annotations

import re


def artifact_key(*parts: str) -> str:
    """A key in the alphabet of Prefect's artifacts: lower case, digits and dashes."""
    key = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
    return key[:200] or "model"
