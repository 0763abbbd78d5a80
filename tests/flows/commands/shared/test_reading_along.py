"""How an entry of a version that read along is told; flows/serving/test_shadow.py makes some."""

from typing import Any

import pytest

from flows.commands.shared.reading_along import sentence


def entry(**changes: Any) -> dict[str, Any]:
    values = {"version": 3, "shadow": 4, "requests": 1200}
    return {**values, "bits_per_byte": None, "same": None, "right": None, **changes}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "version 3, 1,200 requests: too few to tell"),
        (
            {"bits_per_byte": {"value": -0.5, "lower": -0.6, "upper": -0.4}},
            "version 3, 1,200 requests: -0.5000 [-0.6000, -0.4000] bits per byte more",
        ),
    ],
)
def test_a_sentence(changes: dict[str, Any], told: str) -> None:
    assert sentence(entry(**changes)) == told
