import itertools
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from flows.home.environment import Home, make_home
from flows.home.locks import BusyError, owning_content, using_content
from flows.registry.embedded_records import EmbeddedRecords
from flows.registry.history import history, read_history
from flows.registry.models import Registry
from flows.registry.promotion import earlier_champions, promote, rollback
from flows.registry.records import records_of
from flows.registry.registered_base import version_tags
from flows.registry.runs import list_runs
from flows.registry.tracking import TrackedRun, open_run
from flows.registry.versions import Version
from flows.retention import left_over
from flows.retention.pruning import prune_registry
from lmcore.content_store import ContentStore, Handle
from lmcore.data.ingest.part_keys import PART_KIND, write_part_keys
from lmcore.errors import PromotionConflictError, UserError
from lmcore.mending import set_aside
from lmcore.version_folder import VersionFolder

NAME = "speeches"
Register = Callable[..., Version]


class Documents(Handle):
    kind = "documents"


class Baseline(Handle):
    kind = "baseline"


def answers(version: VersionFolder) -> None:
    """Stands for loading the weights, which the tests of serving do."""


def go(registry: Registry, number: int, **changes: Any) -> None:
    promote(
        registry,
        NAME,
        number,
        expected_champion=registry.aliases(NAME).get("champion"),
        who="ada",
        reason="a test",
        smoke=answers,
        **changes,
    )


@pytest.fixture(scope="module")
def six_versions(
    tmp_path_factory: pytest.TempPathFactory,
    mlflow_template: Path,
    assemble_in: Callable[..., VersionFolder],
    register_in: Register,
) -> Home:
    """Six versions of different weights, each with a finished run."""
    root = tmp_path_factory.mktemp("six")
    home = make_home(root / "home")
    shutil.copy(mlflow_template, home.mlflow_database)
    registry = Registry(home)
    for number in range(1, 7):
        with open_run(home, model=NAME, run_key=f"k{number}", name="run") as run:
            run.log_text("a page", "report.html")
        folder = assemble_in(root, f"v{number}", seed=number)
        register_in(registry, folder, run_key=f"k{number}", run_id=run.run_id)
    return home


@pytest.fixture
def registry(six_versions: Home, tmp_path: Path) -> Registry:
    """A home of the test's own, files and all: a home may be copied anywhere."""
    shutil.copytree(six_versions.root, tmp_path / "home")
    return Registry(make_home(tmp_path / "home"))


def numbers(registry: Registry) -> list[int]:
    return [version.number for version in registry.versions(NAME)]


def test_versions_that_are_not_needed_go_with_their_files_runs_and_a_note(
    registry: Registry,
) -> None:
    for number in (1, 3, 4):
        go(registry, number)
    rollback(registry, NAME, who="ada", reason="it swore", smoke=answers)
    go(registry, 5)
    before, size = registry.aliases(NAME), _size(registry.home.mlflow_artifacts)
    told = prune_registry(registry, None, keep=1, dry_run=True)
    assert _size(registry.home.mlflow_artifacts) == size
    assert numbers(registry) == [1, 2, 3, 4, 5, 6]
    done = prune_registry(registry, None, keep=1)
    assert {**told, "dry_run": False} == done
    assert [row["version"] for row in done["versions"]] == [1, 2, 4]
    assert {row["version"]: row["reasons"] for row in done["kept"]} == {
        3: ["previous", "a rollback would go to it"],
        5: ["champion"],
        6: ["the newest", "challenger"],
    }
    assert registry.aliases(NAME) == before
    assert numbers(registry) == [3, 5, 6]
    assert len(list_runs(registry.home, model=NAME)) == 3
    assert done["bytes"] == size - _size(registry.home.mlflow_artifacts) > 0
    notes = [event for event in history(registry, NAME) if event.action == "prune"]
    assert [(event.to_version, event.quarantined) for event in notes] == [
        (1, None),
        (2, None),
        (4, "it swore"),
    ]
    assert prune_registry(registry, None, keep=1)["bytes"] == 0
    assert rollback(registry, NAME, who="ada", reason="back", smoke=answers).champion == 3


def test_a_look_reads_the_tables_without_an_index_once_for_all_models(
    registry: Registry, register_in: Register, version_folder: VersionFolder
) -> None:
    go(registry, 3)

    def questions() -> int:
        asked: list[str] = []
        connection = cast(EmbeddedRecords, records_of(registry.home))._connection()
        connection.set_trace_callback(asked.append)
        prune_registry(registry, None, keep=1, dry_run=True)
        connection.set_trace_callback(None)
        return sum("FROM runs" in text or "FROM logged_models" in text for text in asked)

    few = questions()
    for name in ("letters", "stories", "songs"):
        register_in(registry, version_folder, name=name, run_key=name)
    assert questions() == few


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_random_histories_keep_what_is_in_use(registry: Registry, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(6):
        if rng.random() < 0.3:
            try:
                rollback(registry, NAME, who="ada", reason="a test", smoke=answers)
            except Exception as error:
                assert "champion" in str(error)  # noqa: PT017
        else:
            number = rng.choice(numbers(registry))
            if registry.aliases(NAME).get("champion") != number:
                go(registry, number, override=True)
        if rng.random() < 0.3:
            before = registry.aliases(NAME)
            target = next(iter(earlier_champions(registry, NAME, before.get("champion", -1))), None)
            prune_registry(registry, NAME, keep=rng.choice([1, 2]))
            assert registry.aliases(NAME) == before
            left = numbers(registry)
            assert set(before.values()) <= set(left)
            assert target is None or target in left
            for number in left:
                registry.open(registry.version(NAME, number))
    found = read_history(registry, NAME)
    assert found.champion == registry.aliases(NAME).get("champion")


def test_weights_that_were_out_of_use_stay_so(
    registry: Registry, register_in: Register, assemble_in: Any, tmp_path: Path
) -> None:
    go(registry, 1)
    go(registry, 2)
    rollback(registry, NAME, who="ada", reason="it swore", smoke=answers)
    prune_registry(registry, NAME, keep=1)
    assert numbers(registry) == [1, 6]
    again = register_in(registry, assemble_in(tmp_path, "again", seed=2), run_key="again")
    with pytest.raises(UserError, match="weights of version 2, which was quarantined"):
        go(registry, again.number)
    assert registry.aliases(NAME)["champion"] == 1


def test_an_alias_that_is_set_meanwhile_holds(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(registry, 5)
    read = registry.deletion.num_bytes

    def by_hand(version: Version) -> int:
        if version.number == 2:
            registry.set_alias(NAME, "previous", 2)
        return read(version)

    monkeypatch.setattr(registry.deletion, "num_bytes", by_hand)
    prune_registry(registry, NAME, keep=1)
    assert numbers(registry) == [2, 5, 6]
    with pytest.raises(PromotionConflictError, match="is previous now"):
        registry.deletion.remove(registry.version(NAME, 2))


def test_a_killed_prune_is_finished_by_the_next(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def killed(model_id: str) -> None:
        raise KilledError

    go(registry, 5)
    with monkeypatch.context() as patch:
        patch.setattr(registry.deletion, "remove_model", killed)
        with pytest.raises(KilledError):
            prune_registry(registry, NAME, keep=1)
    done = prune_registry(registry, NAME, keep=1)
    assert [row["version"] for row in done["versions"]] == [2, 3, 4]
    assert len(done["models"]) == 1
    assert done["models"][0]["bytes"] > 0
    assert registry.deletion.stray_models(NAME) == []
    pruned = [e.to_version for e in history(registry, NAME) if e.action == "prune"]
    assert pruned == [1, 2, 3, 4]


def killed_run(home: Home, key: str) -> TrackedRun:
    run = open_run(home, model=NAME, run_key="x", name="x")
    run.use_content(key)
    run.end("KILLED")
    return run


def test_runs_and_work_that_somebody_may_go_on_with_are_kept(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = registry.home
    run = killed_run(home, "d" * 64)
    (home.work / "points").mkdir()
    (home.work / "version-1").mkdir()
    (home.work / "version-1" / "report.html").write_text("1234")
    done = prune_registry(registry, NAME, keep=9)
    assert (done["runs"], done["work"]) == ([], [{"path": "work/version-1", "bytes": 4}])
    assert [r.content for r in list_runs(home, model=NAME) if not r.finished] == [("d" * 64,)]
    now = time.time()
    late = now + (left_over.UNFINISHED_DAYS + 1) * 86_400
    monkeypatch.setattr(left_over.time, "time", lambda: late)
    done = prune_registry(registry, NAME, keep=9)
    assert [row["id"] for row in done["runs"]] == [run.run_id]
    assert [row["path"] for row in done["work"]] == ["work/points"]
    assert len(list_runs(home, model=NAME)) == 6


def test_what_was_damaged_goes_when_nobody_looked_at_it_for_a_week(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = registry.home
    file, folder = home.root / "report.html", home.content / "documents" / "old"
    file.write_text("1234")
    folder.mkdir(parents=True)
    (folder / "rows").write_text("123456")
    for path in (file, folder):
        os.utime(path, (0, 0))  # when it was written says nothing
    aside = [set_aside(home.root, file), set_aside(home.content, folder)]
    (home.root / "damaged" / "link").symlink_to(home.content)
    assert prune_registry(registry, NAME, keep=9)["damaged"] == []
    assert all(path.exists() for path in aside)
    late = time.time() + (left_over.UNFINISHED_DAYS + 1) * 86_400
    monkeypatch.setattr(left_over.time, "time", lambda: late)
    shown = prune_registry(registry, NAME, keep=9, dry_run=True)
    done = prune_registry(registry, NAME, keep=9)
    assert shown["damaged"] == done["damaged"]
    assert [row["bytes"] for row in done["damaged"]] == [0, 4, 6]
    assert not any(path.exists() for path in aside)
    assert home.content.is_dir()


def test_parts_stay_that_the_next_ingest_asks_for_or_a_killed_one_may(registry: Registry) -> None:
    store = ContentStore(registry.home.content)

    class Part(Handle):
        kind = PART_KIND

    def make(folder: Path) -> None:
        (folder / "text").write_text("some text")

    asked, old, young = (store.build(Part, {"content": name}, make) for name in "abc")

    def make_documents(folder: Path) -> None:
        write_part_keys(folder, [asked.key])

    documents = store.build(Documents, {"text": "kept"}, make_documents)
    killed_run(registry.home, documents.key)
    for part in (asked, old):
        for path in (*part.path.iterdir(), part.path):
            os.utime(path, (0, 0))
    done = prune_registry(registry, NAME, keep=9)
    assert {row["key"] for row in done["content"]} == {old.key[:32]}
    assert asked.path.exists()
    assert young.path.exists()


def test_content_that_nothing_names_goes(registry: Registry) -> None:
    home = registry.home
    store = ContentStore(home.content)

    def make(folder: Path) -> dict[str, Any]:
        (folder / "text").write_text("some text")
        return {}

    kept, orphan = (store.build(Documents, {"text": name}, make) for name in ("kept", "orphan"))
    cache = store.build(Baseline, {"documents": kept.key}, make)
    stale = store.build(Baseline, {"documents": orphan.key}, make)
    killed_run(home, kept.key)
    partial = store.path("documents", "e" * 64).with_name(f".{'e' * 32}.partial")
    partial.mkdir()
    done = prune_registry(registry, NAME, keep=9)
    assert {row["key"] for row in done["content"]} == {orphan.key[:32], stale.key[:32]}
    assert kept.path.exists()
    assert cache.path.exists()
    assert not orphan.path.exists()
    assert not partial.exists()


def test_nothing_is_deleted_under_a_run(registry: Registry) -> None:
    with (
        using_content(registry.home.locks),
        using_content(registry.home.locks),
        pytest.raises(BusyError, match="in progress"),
    ):
        prune_registry(registry, NAME, keep=1)
    assert numbers(registry) == [1, 2, 3, 4, 5, 6]
    with owning_content(registry.home.locks):
        assert os.listdir(registry.home.locks)


def test_a_base_stays_as_long_as_a_kept_version_was_made_from_it(
    home: Home,
    register_in: Register,
    assemble_in: Callable[..., VersionFolder],
    fine_tuned_in: Callable[..., VersionFolder],
    tmp_path: Path,
) -> None:
    pytest.importorskip("transformers")
    from pretrained_models import make_base

    registry = Registry(home)
    bases = [make_base(home.content, seed=seed) for seed in (0, 1, 2)]
    first, second, unused = (registry.bases.register(base) for base in bases)
    for number, base in ((1, bases[0]), (2, bases[1])):
        folder = fine_tuned_in(tmp_path, base, f"v{number}", seed=number)
        tags = version_tags(registry.bases.find(base.key) or unused)
        register_in(registry, folder, run_key=f"k{number}", name="tuned", tags=tags)
    told = prune_registry(registry, None, keep=1, dry_run=True)
    assert registry.bases.all() == [first, second, unused]
    done = prune_registry(registry, None, keep=1)
    assert {**told, "dry_run": False} == done
    # Version 1 is not the newest, and its base goes with it; so do both from the content.
    assert [row["version"] for row in done["versions"]] == [1]
    assert [(row["model"], row["version"]) for row in done["bases"]] == [
        *(("base-llama", 1), ("base-llama", 3))
    ]
    assert {row["key"] for row in done["content"]} == {bases[0].key[:32], bases[2].key[:32]} | {
        row["key"] for row in done["content"] if row["kind"] != "pretrained"
    }
    assert registry.bases.all() == [second]
    assert registry.open(registry.version("tuned", 2)).load_model()
    assert prune_registry(registry, None, keep=1)["bases"] == []
    # A damaged version may be restored, so its base stays too.
    (registry.read(registry.version("tuned", 2)).path / "lineage.json").write_text("damaged")
    assert prune_registry(registry, None, keep=1)["bases"] == []
    # And goes with the last version that names it.
    register_in(registry, assemble_in(tmp_path, "v3", seed=3), run_key="k3", name="tuned")
    done = prune_registry(registry, "tuned", keep=1)
    assert [row["key"] for row in done["bases"]] == [bases[1].key]
    assert registry.bases.names() == []
    assert not list(home.content.glob("pretrained/[!.]*"))


def test_versions_of_one_base_cost_what_was_learnt(
    home: Home,
    register_in: Register,
    fine_tuned_in: Callable[..., VersionFolder],
    tmp_path: Path,
) -> None:
    pytest.importorskip("transformers")
    from pretrained_models import make_base

    registry = Registry(home)
    base = make_base(home.content)
    sizes = [_size(home.mlflow_artifacts)]
    wheels = []
    for number in (1, 2, 3):
        registry.bases.register(base)
        folder = fine_tuned_in(tmp_path, base, f"v{number}", seed=number)
        register_in(registry, folder, run_key=f"k{number}", name="tuned")
        sizes.append(_size(home.mlflow_artifacts))
        wheels = [p.stat().st_size for p in home.mlflow_artifacts.rglob("*.whl")]
        assert len(list(home.mlflow_artifacts.glob("**/data/base"))) == 1
    one, two, three = (after - before for before, after in itertools.pairwise(sizes))
    weights = (base.path / "model.safetensors").stat().st_size
    assert one - two >= weights
    # Beside the code that loads it a version of this tiny model is its tokenizer and its matrices.
    learnt = two - wheels[0]
    assert learnt < weights / 2
    assert abs(three - two) < 100
