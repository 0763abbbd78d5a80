"""The champion of the steps, and versions that record something else than what is here."""

import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from flows.commands.shared.reproduction import Rebuilt, rebuild
from flows.home.locks import BusyError
from flows.home.signals import StoppedError
from flows.registry.models import Registry
from flows.registry.removals import record_removals
from lmcore.data.copies.removal import Removal
from lmcore.version_assembly import VersionParts, assemble_version
from lmcore.version_folder import VersionFolder

Again = Callable[..., Rebuilt]


@pytest.fixture
def registry(trained_shell: Any) -> Registry:
    return Registry(trained_shell.home)


@pytest.fixture
def recorded(registry: Registry, tmp_path: Path) -> Callable[..., VersionFolder]:
    """The champion, whose record says something else."""
    folder = registry.open(registry.version("lines", 1))

    def make(*, config: str | None = None, **changes: Any) -> VersionFolder:
        return assemble_version(
            tmp_path / "version",
            VersionParts(
                best=folder.path / "model",
                tokenizer=folder.path / "tokenizer",
                evaluation=folder.evaluation,
                documents=folder.documents(),
                sources=folder.sources(),
                config=folder.config if config is None else config,
                report="<!doctype html>",
                card="# lines",
                lineage={**folder.lineage(), **changes},
            ),
        )

    return make


@pytest.fixture
def again(registry: Registry, recorded: Callable[..., VersionFolder]) -> Again:
    return lambda **changes: rebuild(recorded(**changes), registry=registry, model="lines")


def test_nothing_that_is_cached_is_trusted_or_added(
    registry: Registry, recorded: Callable[..., VersionFolder]
) -> None:
    folder = recorded()
    before = sorted(registry.home.content.rglob("*"))
    splits = registry.home.splits.read_bytes()
    done = rebuild(folder, registry=registry, model="lines")
    assert done == Rebuilt(weights=folder.weights_sha256, mismatches=[])
    assert sorted(registry.home.content.rglob("*")) == before
    assert registry.home.splits.read_bytes() == splits
    assert [*registry.home.work.glob("reproduce-*")] == []


def test_another_environment_is_named_and_tried_all_the_same(again: Again, champion: Any) -> None:
    libraries = {"torch": "1.0"}
    done = again(code="c" * 64, lock=None, processor="abacus", libraries=libraries)
    assert done.weights == champion.weights_sha256
    first, second, *others, last = done.mismatches
    assert first.startswith("code: cccccccccccc then, ")
    assert first.endswith(" now (lmcore itself has changed)")
    assert second.startswith("lock: unknown then, ")
    assert "library torch: 1.0 then, " in "".join(others)
    assert all(other.startswith("library ") for other in others)
    assert last.startswith("processor: abacus then, ")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"plan": {}}, "plan: cannot be read by this release ("),
        ({"config": "name: ["}, "config: cannot be read by this release ("),
        ({"config": "lines"}, "config: cannot be read by this release (no mapping)"),
        ({"config": "name: lines\nsauces: []\n"}, "config: cannot be read by this release ("),
        (
            {"start": {"origin": "champion", "version": 3, "weights": "f" * 64}},
            "start: it went on from version 3 (ffffffffffff), which is not in the registry any",
        ),
        (
            {"base": {"model": "talk", "version": 2, "manifest": "e" * 64}},
            "base: it started from talk version 2 (eeeeeeeeeeee), which is not in the registry any",
        ),
    ],
)
def test_what_the_training_needs_and_is_gone_is_named(
    again: Again, changes: dict[str, Any], expected: str
) -> None:
    done = again(**changes)
    assert done.weights == ""
    assert [m for m in done.mismatches if m.startswith(expected)], done.mismatches


def test_another_meaning_of_the_configuration_is_a_mismatch(
    again: Again, recorded: Callable[..., VersionFolder], champion: Any
) -> None:
    config = recorded().config
    done = again(config=config.replace("seed: 0", "seed: 1"))
    assert done.mismatches[0].startswith("config: ")
    assert done.mismatches[0].endswith(" now (the configuration means something else)")


def test_what_was_forgotten_cannot_be_trained_on_again(
    again: Again, registry: Registry, made: Any
) -> None:
    learnt = next(made.documents.iter_documents("train"))
    removal = Removal(
        document=learnt.id,
        sketch=None,
        reason="asked by its author",
        who="ada",
        at="2026-03-01T00:00:00+00:00",
    )
    record_removals(registry, [removal])
    done = again()
    assert done == Rebuilt(
        weights="",
        mismatches=[
            f"document {learnt.name} ({learnt.id[:12]}) was forgotten on 2026-03-01:"
            " asked by its author"
        ],
    )


def test_sources_that_are_gone_are_named(
    again: Again, recorded: Callable[..., VersionFolder], tmp_path: Path, made: Any
) -> None:
    place = made.run.config.sources[0].path
    done = again(config=recorded().config.replace(place, str(tmp_path / "gone.txt")))
    assert done.weights == ""
    assert done.mismatches[-1].startswith("sources: ")
    assert "gone.txt" in done.mismatches[-1]


def test_one_process_at_a_time_reproduces_a_version(
    registry: Registry, recorded: Callable[..., VersionFolder]
) -> None:
    folder = recorded()
    key = folder.manifest_sha256[:16]
    with (
        FileLock(registry.home.locks / f"reproduce-{key}.lock"),
        pytest.raises(BusyError, match="another process reproduces this version; try again"),
    ):
        rebuild(folder, registry=registry, model="lines")


def test_a_stop_leaves_nothing_behind_and_what_was_left_is_swept(
    registry: Registry, recorded: Callable[..., VersionFolder], champion: Any
) -> None:
    class Stop(logging.Handler):
        """The user, who reads that the training begins."""

        def emit(self, record: logging.LogRecord) -> None:
            signal.raise_signal(signal.SIGINT)

    folder = recorded()
    log, reader = logging.getLogger("flows.steps.progress"), Stop(logging.INFO)
    log.addHandler(reader)
    before = log.level
    log.setLevel(logging.INFO)
    try:
        with pytest.raises(StoppedError, match="stopped by the user; nothing is left behind"):
            rebuild(folder, registry=registry, model="lines")
    finally:
        log.removeHandler(reader)
        log.setLevel(before)
    scratch = registry.home.work / f"reproduce-{folder.manifest_sha256[:16]}"
    assert not scratch.exists()
    # As a process leaves it that was killed.
    (scratch / "content" / "documents").mkdir(parents=True)
    (scratch / "splits.sqlite").write_bytes(b"half")
    assert rebuild(folder, registry=registry, model="lines").weights == champion.weights_sha256
    assert not scratch.exists()
