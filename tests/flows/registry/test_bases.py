"""Pretrained models in the registry: stored once, verified, fetched where they are missing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("transformers")
from pretrained_models import make_base

from flows.home.environment import Home
from flows.registry.connection import connect
from flows.registry.models import Registry
from flows.registry.versions import Version
from lmcore.errors import IntegrityError, NotFoundError, UserError
from lmcore.manifest import Manifest
from lmcore.model.pretrained import shelf
from lmcore.model.pretrained.base import Base
from lmcore.version_folder import VersionFolder

Register = Callable[..., Version]
FineTuned = Callable[..., VersionFolder]
Spoil = Callable[[Path], None]


@pytest.fixture
def base(home: Home) -> Base:
    shelf.verified.cache_clear()
    return make_base(home.content, license="Apache-2.0", origin="a test")


def stored(home: Home) -> Path:
    (folder,) = home.mlflow_artifacts.glob("**/data/base")
    return folder


def test_it_is_registered_once(registry: Registry, base: Base) -> None:
    first = registry.bases.register(base)
    assert (first.model, first.number, first.key) == ("base-llama", 1, base.key)
    again = registry.bases.register(base)
    assert again == first
    assert registry.bases.all() == [first]
    tags = connect(registry.home).get_model_version("base-llama", "1").tags
    assert (tags["kind"], tags["license"], tags["origin"]) == ("base", "Apache-2.0", "a test")
    assert tags["weights_sha256"] == base.record().weights_sha256
    assert len(list(registry.home.mlflow_artifacts.glob("**/model.safetensors"))) == 1
    assert Base.open(stored(registry.home)).key == base.key


def test_others_of_the_same_name_are_further_versions(registry: Registry, base: Base) -> None:
    other = make_base(registry.home.content, seed=1)
    found = [registry.bases.register(b) for b in (base, other, base)]
    assert [(b.model, b.number) for b in found] == [
        *(("base-llama", 1), ("base-llama", 2), ("base-llama", 1))
    ]
    assert registry.bases.find(other.key) == found[1]
    assert registry.bases.find("0" * 64) is None


def test_it_is_no_model_of_a_pipeline(registry: Registry, base: Base, register: Register) -> None:
    registry.bases.register(base)
    assert registry.models() == []
    with pytest.raises(NotFoundError, match="no model is registered"):
        registry.choose_model(None)
    register()
    assert registry.models() == ["speeches"]
    assert registry.choose_model(None) == "speeches"
    with pytest.raises(UserError, match="base-llama is a pretrained model"):
        registry.choose_model("base-llama")
    assert registry.aliases("base-llama") == {}


def test_a_name_that_a_pipeline_has_is_left_to_it(
    registry: Registry, base: Base, register: Register
) -> None:
    register(name="base-llama")
    found = registry.bases.register(base)
    assert found.model == f"base-llama-{base.key[:12]}"
    assert registry.models() == ["base-llama"]
    assert registry.bases.register(base) == found


def test_what_is_damaged_is_not_registered(registry: Registry, base: Base, spoil: Spoil) -> None:
    spoil(base.path / "model.safetensors")
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        registry.bases.register(base)
    assert registry.bases.all() == []


def test_what_is_damaged_on_its_way_is_not_registered(
    registry: Registry, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = type(connect(registry.home))
    upload = client.log_model_artifacts

    def lossy(self: object, model_id: str, local_dir: str) -> None:
        (Path(local_dir) / "data" / "base" / "config.json").unlink()
        upload(self, model_id, local_dir)

    monkeypatch.setattr(client, "log_model_artifacts", lossy)
    with pytest.raises(IntegrityError, match=r"config\.json: the file is missing"):
        registry.bases.register(base)
    assert registry.bases.all() == []
    assert Base.open(base.path) == base  # what was uploaded were other names of its files


def test_other_weights_under_the_same_key_are_refused(registry: Registry, base: Base) -> None:
    registry.bases.register(base)
    record = base.record().model_copy(update={"weights_sha256": "0" * 64})
    (base.path / "base.json").write_text(record.model_dump_json())
    manifest = Manifest.read(base.path)
    Manifest.write(base.path, kind=Base.kind, inputs=manifest.inputs, key=manifest.key)
    with pytest.raises(IntegrityError, match=r"base-llama version 1.*delete the folder"):
        registry.bases.register(base)


def test_a_version_is_opened_with_its_base_and_fetches_it_where_it_is_missing(
    registry: Registry, base: Base, register: Register, fine_tuned_in: FineTuned, tmp_path: Path
) -> None:
    registry.bases.register(base)
    version = register(fine_tuned_in(tmp_path / "made", base))
    before = registry.open(version).load_model()
    shutil.rmtree(base.path)
    assert registry.read(version).lineage()["pretrained"]["key"] == base.key
    assert not base.path.exists()  # what is only read needs none
    after = registry.open(version).load_model()
    assert base.path.is_dir()
    assert Base.open(base.path).key == base.key
    assert after.record() == before.record()
    assert not list(base.path.parent.glob(".fetched-*"))


@pytest.mark.parametrize("damage", ["content", "registry"])
def test_a_damaged_base_is_one_sentence(
    registry: Registry,
    base: Base,
    register: Register,
    fine_tuned_in: FineTuned,
    tmp_path: Path,
    spoil: Spoil,
    damage: str,
) -> None:
    registry.bases.register(base)
    version = register(fine_tuned_in(tmp_path / "made", base))
    if damage == "content":
        spoil(base.path / "model.safetensors")
    else:
        shutil.rmtree(base.path)
        spoil(stored(registry.home) / "model.safetensors")
    shelf.verified.cache_clear()
    with pytest.raises(IntegrityError, match=r"model\.safetensors.*nothing was loaded") as error:
        registry.open(version)
    assert "\n" not in str(error.value)
    if damage == "registry":
        assert "base-llama version 1 of the registry cannot be used" in str(error.value)
        assert not base.path.exists()  # nothing half-made is left


def test_a_base_that_is_nowhere_is_one_sentence(
    registry: Registry, base: Base, register: Register, fine_tuned_in: FineTuned, tmp_path: Path
) -> None:
    version = register(fine_tuned_in(tmp_path / "made", base))
    shutil.rmtree(base.path)
    shelf.verified.cache_clear()
    with pytest.raises(IntegrityError, match=r"version 1 of speeches was made from is\s+missing"):
        registry.open(version)


def test_a_base_with_other_weights_is_refused(
    registry: Registry, base: Base, register: Register, fine_tuned_in: FineTuned, tmp_path: Path
) -> None:
    version = register(fine_tuned_in(tmp_path / "made", base))
    other = make_base(tmp_path / "elsewhere", seed=1)
    inputs = Manifest.read(base.path).inputs
    shutil.rmtree(base.path)
    shutil.copytree(other.path, base.path)
    Manifest.write(base.path, kind=Base.kind, inputs=inputs, key=base.key)
    shelf.verified.cache_clear()
    with pytest.raises(IntegrityError, match="but those that the version was made from are"):
        registry.open(version)


def test_a_removed_one_leaves_nothing(registry: Registry, base: Base) -> None:
    first = registry.bases.register(base)
    second = registry.bases.register(make_base(registry.home.content, seed=1))
    assert registry.bases.num_bytes(first) > 10_000
    registry.bases.remove(first)
    assert registry.bases.all() == [second]
    registry.bases.remove(second)
    assert registry.bases.names() == []
    assert not list(registry.home.mlflow_artifacts.glob("**/model.safetensors"))
    assert registry.bases.register(base).number == 1
