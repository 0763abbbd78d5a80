"""A registry with something to show."""

import pytest

from flows.registry.promotion import promote, record_rejection
from flows.registry.versions import COST_TAG, fact_tags, to_tag

GATES = [
    {"gate": "champion", "required": True, "outcome": "PASS", "reason": "better", "evidence": {}},
    {"gate": "pii", "required": False, "outcome": "WARN", "reason": "<b>ten</b> addresses"},
]


DOCUMENTS = {"documents": 249, "bytes": 12_000_000, "licenses": {"CC0-1.0": 12_000_000}}


@pytest.fixture
def tags():
    """What the pipeline tells the registry of a version's gates and text."""
    return fact_tags(GATES, DOCUMENTS)


@pytest.fixture
def two_versions(registry, register, assemble_in, tmp_path, tags):
    """One champion and one that was refused, registered as the pipeline does it."""
    metrics = {"val_bits_per_byte": {"value": 1.41, "lower": 1.3, "upper": 1.5, "unit": "x"}}
    first = register(metrics=metrics, tags=tags)
    other = assemble_in(tmp_path, "other", seed=1)
    register(other, run_key="k2", passed=False, verdict="gate champion: FAIL", tags=tags)
    cost = {"seconds": {"train": 100.0, "total": 120.0}, "core_seconds": 200.0}
    registry.set_version_tag("speeches", first.number, COST_TAG, to_tag(cost))
    promote(
        registry,
        "speeches",
        1,
        expected_champion=None,
        who="ines",
        reason="first",
        smoke=lambda folder: None,
    )
    record_rejection(registry, "speeches", 2, who="pipeline", reason="no better")
    return registry
