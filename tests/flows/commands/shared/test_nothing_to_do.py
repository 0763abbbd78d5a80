"""A run that finds nothing new is answered before the pipeline is imported; all else is its own."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from lmcore_shell import telling_imports

from flows.commands.shared.nothing_to_do import nothing_to_do
from flows.home.environment import Home
from flows.registry.last_run import last_run
from flows.registry.models import Registry
from flows.registry.versions import Version
from flows.steps.begin_run import begin_run
from flows.steps.ingest_documents import fingerprint
from lmcore.config import RunConfig

NAME = "speeches"


@pytest.fixture
def config(small_config: Callable[..., RunConfig]) -> RunConfig:
    return small_config(name=NAME)


@pytest.fixture
def finished(registry: Registry, register: Callable[..., Version], config: RunConfig) -> Home:
    """A home with a version that a finished run of the configuration has registered."""
    register()
    key = begin_run(config, home=registry.home, sources=fingerprint(config)).key
    registry.set_version_tag(NAME, 1, "run_base", key.base)
    registry.set_version_tag(NAME, 1, "run_complete", "true")
    return registry.home


def test_nothing_new_is_said_and_remembered(
    finished: Home, registry: Registry, config: RunConfig
) -> None:
    found = nothing_to_do(config, finished)
    assert found is not None
    assert (found.outcome, found.version) == ("skipped", None)
    assert "those of version 1" in found.reason
    assert "fingerprint" in found.seconds
    last = last_run(registry, NAME)
    assert last is not None
    assert (last["outcome"], last["reason"]) == ("skipped", found.reason)
    assert finished.dashboard.exists()


def test_whatever_else_is_the_case_is_for_the_pipeline(
    finished: Home,
    registry: Registry,
    config: RunConfig,
    small_config: Callable[..., RunConfig],
) -> None:
    others = (
        small_config(name="others"),
        small_config(name=NAME, training={"seed": 7}),
        small_config(name=NAME, sources=[{"path": "/nowhere", "license": "CC0-1.0"}]),
    )
    assert [nothing_to_do(other, finished) for other in others] == [None] * len(others)
    assert (
        nothing_to_do(config, replace(finished, prefect_api_url="http://127.0.0.1:1/api")) is None
    )
    with FileLock(finished.locks / f"run-{NAME}.lock"):
        assert nothing_to_do(config, finished) is None
    registry.clear_version_tag(NAME, 1, "run_complete")
    registry.set_alias(NAME, "champion", 1)  # killed after its promotion: something is to be done
    assert nothing_to_do(config, finished) is None
    assert last_run(registry, NAME) is None


def test_neither_prefect_nor_torch_is_imported(
    finished: Home, config: RunConfig, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True)))
    done = telling_imports(finished.root, "run", "--config", str(file))
    assert done.stdout.startswith("SKIPPED: speeches"), done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
