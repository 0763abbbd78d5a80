"""What a configuration says about retention, followed after a run."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.home.locks import using_content
from flows.registry.models import Registry
from flows.registry.versions import Version
from flows.retention import rule
from flows.retention.rule import follow_retention
from lmcore.config import RunConfig
from lmcore.content_store import ContentStore, Handle
from lmcore.errors import IntegrityError
from lmcore.manifest import Manifest

NAME = "speeches"
DAY = 86_400


class Documents(Handle):
    kind = "documents"


@pytest.fixture
def config(small_config: Callable[..., RunConfig]) -> Callable[..., RunConfig]:
    def make(**retention: Any) -> RunConfig:
        return small_config(name=NAME, retention=retention)

    return make


def folder(registry: Registry, name: str, *, days: float) -> Path:
    """A content folder that nothing names, made so many days ago."""

    def make(path: Path) -> None:
        (path / "rows").write_text("some rows")

    made = ContentStore(registry.home.content).build(Documents, {"of": name}, make).path
    when = time.time() - days * DAY
    for path in (made, *made.iterdir()):
        os.utime(path, (when, when))
    return made


def test_old_content_that_nothing_names_goes_and_the_rest_stays(
    registry: Registry, register: Callable[..., Version], config: Any, caplog: Any
) -> None:
    caplog.set_level("INFO")
    version = register()
    old, young = (folder(registry, name, days=days) for name, days in (("a", 31), ("b", 29)))
    follow_retention(registry, config())
    assert (old.exists(), young.exists()) == (False, True)
    assert [v.number for v in registry.versions(NAME)] == [version.number]
    assert "retention: 0 versions and 1 file or folder deleted" in caplog.text
    follow_retention(registry, config(content_days=None))
    follow_retention(registry, config(content_days=20))
    assert not young.exists()


def test_what_a_version_names_is_never_too_old(
    registry: Registry, register: Callable[..., Version], config: Any, monkeypatch: Any
) -> None:
    register()
    named = folder(registry, "a", days=400)
    key = Manifest.read(named).key
    monkeypatch.setattr(registry, "lineage", lambda version: {"documents": key})
    follow_retention(registry, config(content_days=1))
    assert named.exists()


def test_without_anything_old_nothing_is_asked(
    registry: Registry, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(registry, "a", days=1)
    monkeypatch.setattr(rule, "prune_registry", lambda *_, **__: pytest.fail("asked"))
    follow_retention(registry, config())
    follow_retention(registry, config(content_days=None))


def test_versions_go_where_the_rule_says_so(
    registry: Registry,
    register: Callable[..., Version],
    assemble_in: Any,
    tmp_path: Path,
    config: Any,
) -> None:
    for number in range(1, 4):
        register(assemble_in(tmp_path, f"v{number}", seed=number), run_key=f"k{number}")
    follow_retention(registry, config())
    assert len(registry.versions(NAME)) == 3
    young = folder(registry, "a", days=1)
    follow_retention(registry, config(versions=1))
    assert [v.number for v in registry.versions(NAME)] == [3]
    assert young.exists()


@pytest.fixture
def busy(registry: Registry) -> Iterator[None]:
    with using_content(registry.home.locks):
        yield


def test_a_run_at_work_is_left_alone(registry: Registry, config: Any, busy: None) -> None:
    old = folder(registry, "a", days=50)
    follow_retention(registry, config())
    assert old.exists()


def test_what_goes_wrong_is_said_and_ends_nothing(
    registry: Registry, config: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise IntegrityError("the disk says no")

    folder(registry, "a", days=50)
    monkeypatch.setattr(rule, "prune_registry", fail)
    follow_retention(registry, config())
    assert "not everything that is old could be deleted (the disk says no)" in caplog.text
