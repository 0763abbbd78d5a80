"""A monitoring that finds nothing new needs no model, and leaves all else to the flow."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from lmcore_shell import telling_imports

from flows.commands.shared.nothing_to_monitor import nothing_to_monitor
from flows.home.environment import Home
from flows.registry.models import Registry
from flows.registry.monitor_results import log_monitoring, monitor_results
from flows.registry.versions import Version
from flows.steps.begin_run import begin_run
from flows.steps.ingest_documents import fingerprint
from flows.steps.monitoring import InUse, champion_to_monitor, monitor_key
from flows.steps.run_key import processor_name
from lmcore.config import RunConfig
from lmcore.data.copies.removal import Removals
from lmcore.data.requests.lines import Asked
from lmcore.data.requests.parts import ASKED, PartWriter
from lmcore.errors import NotFoundError
from lmcore.version_folder import VersionFolder

NAME = "speeches"


@pytest.fixture
def config(small_config: Callable[..., RunConfig]) -> RunConfig:
    return small_config(name=NAME)


@pytest.fixture
def champion(
    registry: Registry,
    register: Callable[..., Version],
    assemble_in: Callable[..., VersionFolder],
    config: RunConfig,
    tmp_path: Path,
) -> Version:
    """A champion that was made of this text, on this machine, by this code."""
    register(assemble_in(tmp_path, processor=processor_name()))
    key = begin_run(config, home=registry.home, sources=fingerprint(config)).key
    registry.set_version_tag(NAME, 1, "run_base", key.base)
    registry.set_alias(NAME, "champion", 1)
    return champion_to_monitor(registry, NAME)


@pytest.fixture
def answered(registry: Registry, champion: Version, config: RunConfig) -> Callable[..., None]:
    """Keep an answer to what is asked of the configuration now."""

    def keep(**changes: Any) -> None:
        given = {
            "model": NAME, "champion": 1, "at": "2026-11-01T10:00:00.000+00:00", "limit": 0.02,
            "outcome": "STABLE", "reason": "It reads fresh text as well as before.",
            "documents": {"fresh": 40}, "bits_per_byte": None, "tokens_per_byte": None,
            "unseen_words": None, "unchanged_since": None, **changes,
        }  # fmt: skip
        use = InUse.read(registry.home.requests / NAME)
        key = monitor_key(config, champion, use, sources=fingerprint(config), removals=Removals())
        log_monitoring(registry.home, given, key=key)

    return keep


def test_of_the_text_that_the_champion_was_made_of_nothing_is_fresh(
    registry: Registry, champion: Version, config: RunConfig
) -> None:
    found = nothing_to_monitor(config, registry.home)
    assert found is not None
    rows = sum(1 for _ in registry.open(champion).documents())
    assert (found["outcome"], found["documents"]["known"]) == ("INCONCLUSIVE", rows)
    assert (found["documents"]["fresh"], found["check"]["documents"]) == (0, 0)
    assert found["unchanged_since"] == champion.created.isoformat(timespec="milliseconds")
    assert monitor_results(registry.home, NAME) == [found]
    again = nothing_to_monitor(config, registry.home)
    assert again is not None
    same = {key: found[key] for key in found.keys() - {"at", "mlflow_run_id"}}
    assert {key: again[key] for key in same} == same
    assert len(monitor_results(registry.home, NAME)) == 2


def test_an_answer_holds_as_long_as_nothing_is_new(
    registry: Registry, config: RunConfig, answered: Callable[..., None]
) -> None:
    answered()
    found = nothing_to_monitor(config, registry.home)
    assert found is not None
    assert (found["outcome"], found["documents"]) == ("STABLE", {"fresh": 40})
    assert found["at"] > found["unchanged_since"] == "2026-11-01T10:00:00.000+00:00"
    again = nothing_to_monitor(config, registry.home)
    assert again is not None
    assert again["unchanged_since"] == "2026-11-01T10:00:00.000+00:00"


def ask(home: Home) -> None:
    writer = PartWriter(home.requests / NAME / ASKED)
    writer.add(
        Asked(
            id="1", index=0, at="2026-11-28", client="shop", version=1, text="who are you",
            task="language_modelling",
        )
    )  # fmt: skip
    writer.seal()


def test_whatever_else_is_the_case_is_for_the_flow(
    registry: Registry,
    champion: Version,
    config: RunConfig,
    answered: Callable[..., None],
    small_config: Callable[..., RunConfig],
    tmp_path: Path,
) -> None:
    home = registry.home
    (tmp_path / "more.txt").write_text("a text of its own")
    more = {**config.sources[0].model_dump(mode="json"), "path": str(tmp_path / "more.txt")}
    others = (
        small_config(name=NAME, sources=[more]),
        small_config(name=NAME, sources=[{"path": "/nowhere", "license": "CC0-1.0"}]),
        small_config(name=NAME, data={"as_of": "2020-12-31"}),
    )
    assert [nothing_to_monitor(other, home) for other in others] == [None] * len(others)
    assert nothing_to_monitor(config, replace(home, prefect_api_url="http://127.0.0.1:1")) is None
    with pytest.raises(NotFoundError, match="others has no champion to monitor"):
        nothing_to_monitor(small_config(name="others"), home)
    answered(outcome="DRIFTED")  # people are told each time
    assert nothing_to_monitor(config, home) is None
    answered()
    assert nothing_to_monitor(config, home) is not None
    ask(home)
    assert nothing_to_monitor(config, home) is None
    shutil.rmtree(home.requests / NAME)
    assert nothing_to_monitor(config, home) is not None
    weights = registry.open(champion).path / "model" / "model.safetensors"
    shutil.rmtree(home.root / "kept")  # or they are put back from there
    weights.write_bytes(b"other")
    assert nothing_to_monitor(config, home) is None


def test_a_champion_of_another_machine_is_scored_again(
    registry: Registry, champion: Version, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "flows.commands.shared.nothing_to_monitor.processor_name"
    monkeypatch.setattr(place, lambda: "another one")
    assert nothing_to_monitor(config, registry.home) is None


def test_neither_prefect_nor_torch_is_imported(
    registry: Registry, champion: Version, config: RunConfig, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True)))
    done = telling_imports(registry.home.root, "monitor", "--config", str(file))
    assert done.stdout.startswith("INCONCLUSIVE: speeches version 1"), done.stderr
    assert "  nothing is new since " in done.stdout
    assert done.stderr.splitlines()[-1] == "[]"
