"""Which version shows what a base model brings."""

from types import SimpleNamespace
from typing import Any

import pytest

from flows.registry.versions import describe
from flows.steps import evaluation_inputs
from lmcore.config import RunConfig, parse_config


def config(base: str | None) -> RunConfig:
    source = {"path": "rows.tsv", "target_field": "label", "license": "CC0-1.0"}
    return parse_config(
        {"name": "tone", "task": "sentiment", "base": base, "sources": [source]}, where="test"
    )


def shelf(*versions: dict[str, str]) -> Any:
    """A registry that holds versions with these tags."""
    found = [
        describe(
            SimpleNamespace(
                version=number, name="tone", tags=tags, run_id="", source="", creation_timestamp=0
            ),
            {},
        )
        for number, tags in enumerate(versions, 1)
    ]
    return SimpleNamespace(versions=lambda name: found if name == "tone" else [])


def test_it_is_the_newest_one_of_the_task_that_began_from_random_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluation_inputs, "_to_judge", lambda registry, version, removals: version)
    task = {"task": "sentiment"}
    registry = shelf(
        task,
        task,
        {"task": "language_modelling"},
        {**task, "quarantined": "wrong labels"},
        {**task, "base": "talk version 1"},
    )
    found: Any = evaluation_inputs.newest_unaided(registry, config("talk"), None)
    assert found.number == 2
    champion: Any = SimpleNamespace(version=2)
    assert evaluation_inputs.newest_unaided(registry, config("talk"), champion) is champion
    # One that itself began from random weights has nothing to show.
    assert evaluation_inputs.newest_unaided(registry, config(None), None) is None
    only = shelf({**task, "base": "talk version 1"})
    assert evaluation_inputs.newest_unaided(only, config("talk"), None) is None
