from collections.abc import Callable
from dataclasses import replace

from flows.registry.models import Registry
from flows.registry.versions import Version
from flows.steps.nothing_new import finished_versions, nothing_new
from flows.steps.run_key import run_key
from flows.steps.stopwatch import Stopwatch
from lmcore.config import RunConfig

NAME = "speeches"


def test_versions_of_finished_runs_of_the_key_and_no_others(
    registry: Registry, register: Callable[..., Version]
) -> None:
    key = run_key(data="d", config="c")
    register()
    assert finished_versions(registry, NAME, key) == []
    registry.set_version_tag(NAME, 1, "run_base", key.base)
    assert finished_versions(registry, NAME, key) == []
    registry.set_alias(NAME, "champion", 1)  # killed after its promotion
    assert [v.number for v in finished_versions(registry, NAME, key)] == [1]
    registry.set_alias(NAME, "champion", None)
    registry.set_version_tag(NAME, 1, "run_complete", "true")
    forced = replace(key, nonce=3, start="another champion")
    assert [v.number for v in finished_versions(registry, NAME, forced)] == [1]
    assert finished_versions(registry, NAME, replace(key, data="other")) == []


def test_the_version_is_named(
    registry: Registry,
    register: Callable[..., Version],
    small_config: Callable[..., RunConfig],
) -> None:
    register()
    registry.set_alias(NAME, "champion", 1)
    found = nothing_new(
        registry, small_config(name=NAME), registry.version(NAME, 1), watch=Stopwatch()
    )
    assert (found.outcome, found.version, found.champion, found.model) == ("skipped", None, 1, NAME)
    assert "version 1 (registered, challenger and champion," in found.reason
    assert found.fingerprints["weights"] is None
    assert found.exit_code == 0
