from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import monitor_drift, watch_sources
from flows.home import patience
from flows.home.environment import Home
from flows.home.patience import ServerGoneError
from flows.registry.models import Registry
from flows.registry.versions import Version
from flows.steps.run_key import data_digest
from flows.watch_sources import look
from lmcore.config import RunConfig, parse_config
from lmcore.data.copies.removal import Removals
from lmcore.data.sources.located import fingerprint_sources, glance_at_sources
from lmcore.version_folder import VersionFolder


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("first")
    return parse_config({"name": "stories", "sources": [{"path": str(folder)}]}, where="test")


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    monkeypatch.setattr(
        watch_sources, "emit_arrived", lambda model, payload: events.append({model: payload})
    )
    return events


def add(config: RunConfig, name: str, text: str) -> None:
    assert config.sources[0].path is not None
    (Path(config.sources[0].path) / name).write_text(text)


def test_new_text_is_reported_once_when_it_has_come_to_rest(
    home: Home, config: RunConfig, emitted: list[dict[str, Any]]
) -> None:
    assert look(home, config, busy=False) == "changing"
    assert look(home, config, busy=False) == "arrived"
    assert look(home, config, busy=False) == "unchanged"
    add(config, "b.txt", "half a fi")
    assert look(home, config, busy=False) == "changing"
    add(config, "b.txt", "half a file")
    assert look(home, config, busy=False) == "changing"
    assert look(home, config, busy=False) == "arrived"
    found = fingerprint_sources(config.sources)
    assert emitted[1] == {"stories": {"fingerprint": found.digest, "files": 2, "bytes": 16}}
    assert len(emitted) == 2


def test_while_a_run_goes_on_new_text_waits(
    home: Home, config: RunConfig, emitted: list[dict[str, Any]]
) -> None:
    look(home, config, busy=True)
    assert look(home, config, busy=True) == "busy"
    assert emitted == []
    assert look(home, config, busy=False) == "arrived"


def test_text_that_a_run_has_read_is_not_new(
    home: Home,
    config: RunConfig,
    emitted: list[dict[str, Any]],
    version_folder: VersionFolder,
    register_in: Callable[..., Version],
) -> None:
    sources = fingerprint_sources(config.sources).digest
    data = data_digest(sources, Removals())
    register_in(Registry(home), version_folder, name="stories", fingerprints={"data": data})
    look(home, config, busy=False)
    assert look(home, config, busy=False) == "known"
    # Touched, but the same bytes.
    add(config, "a.txt", "first")
    look(home, config, busy=False)
    assert look(home, config, busy=False) in ("known", "unchanged")
    assert emitted == []


def test_a_memory_that_cannot_be_read_is_begun_again(
    home: Home, config: RunConfig, emitted: list[dict[str, Any]]
) -> None:
    memory = home.up / "watch" / "stories.json"
    memory.parent.mkdir()
    for content in ("{", "[]"):
        memory.write_text(content)
        assert look(home, config, busy=False) == "changing"


def test_a_glance_sees_what_a_fingerprint_sees(config: RunConfig) -> None:
    before = glance_at_sources(config.sources)
    assert glance_at_sources(config.sources) == before
    add(config, "c.txt", "x")
    assert glance_at_sources(config.sources) != before


def test_a_watch_goes_on_without_a_measure_of_drift_but_not_without_its_server(
    home: Home,
    config: RunConfig,
    emitted: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    register_in: Callable[..., Version],
    version_folder: VersionFolder,
) -> None:
    registry = Registry(home)
    register_in(registry, version_folder, name="stories")
    registry.set_alias("stories", "champion", 1)

    def fails(config: RunConfig) -> None:
        raise ServerGoneError("MLflow was not back")

    monkeypatch.setattr(monitor_drift, "monitor", fails)
    look(home, config, busy=False)
    with monkeypatch.context() as patch:
        patch.setattr(patience, "_gone", {"MLflow": ServerGoneError("MLflow was not back")})
        with pytest.raises(ServerGoneError, match="not back"):
            look(home, config, busy=False)
    assert emitted == []
    assert look(home, config, busy=False) == "arrived"
