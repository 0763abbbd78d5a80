"""Where a model lies is found without running anything of it."""

import sys
from pathlib import Path

import pytest

from lmcore.errors import SourceError
from lmcore.model.config import PretrainedConfig
from lmcore.model.pretrained.places import Place, asks_the_hub, find_place


def find(given: str | Path) -> Place:
    return find_place(PretrainedConfig(pretrained=str(given)))


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(b"1")
    (path / "evil.py").write_text("raise SystemExit")
    return path


def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Path:
    place = tmp_path / "packages" / name
    place.mkdir(parents=True)
    (place / "__init__.py").write_text("raise RuntimeError('was imported')")
    monkeypatch.syspath_prepend(str(place.parent))
    return place


def test_a_folder_gives_what_is_read_and_no_code(tmp_path: Path) -> None:
    place = find(folder(tmp_path / "small"))
    assert (place.kind, place.name) == ("folder", "small")
    assert set(place.files) == {"config.json", "model.safetensors"}
    assert place.hashes()["model.safetensors"].startswith("6b86b273")  # of "1"


def test_a_gguf_file_alone_or_as_the_one_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "Small.Q4.gguf").write_bytes(b"GGUF")
    for given in (tmp_path / "Small.Q4.gguf", tmp_path):
        place = find(given)
        assert (place.kind, place.name) == ("gguf", "Small.Q4.gguf")


def test_a_link_that_leads_out_is_not_followed(tmp_path: Path) -> None:
    place = folder(tmp_path / "small")
    secret = tmp_path / "secret"
    secret.write_text("{}")
    (place / "tokenizer.json").symlink_to(secret)
    with pytest.raises(SourceError, match=r"tokenizer\.json is a link that leads out"):
        find(place)
    (place / "tokenizer.json").unlink()
    (place / "other.json").symlink_to("config.json")
    assert "other.json" in find(place).files
    (tmp_path / "link").symlink_to(place)
    assert find(tmp_path / "link").title == "small"


def test_a_snapshot_in_a_cache_of_the_hub_is_links_into_that_cache(tmp_path: Path) -> None:
    cache = tmp_path / "models--owner--name"
    place = folder(cache / "snapshots" / ("0" * 40))
    (cache / "blobs").mkdir()
    (place / "config.json").rename(cache / "blobs" / "1")
    (place / "config.json").symlink_to(cache / "blobs" / "1")
    assert find(place).title == "owner/name"
    (place / "tokenizer.json").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text("{}")
    with pytest.raises(SourceError, match="leads out of the folder"):
        find(place)


def test_a_package_is_found_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = package(tmp_path, monkeypatch, "llm_of_tests")
    with pytest.raises(SourceError, match="found none"):
        find("package:llm_of_tests")
    folder(place / "model")
    assert find("package:llm_of_tests").folder == place / "model"
    (place / "other.gguf").write_bytes(b"GGUF")
    with pytest.raises(SourceError, match=r"found other\.gguf, model; name one"):
        find("package:llm_of_tests")
    assert find("package:llm_of_tests/other.gguf").kind == "gguf"
    assert find("package:llm_of_tests/model").kind == "folder"
    assert "llm_of_tests" not in sys.modules
    for wrong in ("../secret", "/etc", "model/../../.."):
        with pytest.raises(SourceError, match="the package has no"):
            find(f"package:llm_of_tests/{wrong}")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("no/such/place/here", "no such folder or file"),
        ("./nothing", "no such folder or file"),
        ("/nothing", "no such folder or file"),
        ("owner/name", "needs the commit hash of its revision"),
        ("owner/name@main", "needs the commit hash of its revision"),
        ("package:no_such_package_here", "no package 'no_such_package_here' is installed"),
        ("package:os.path", "expected package:NAME"),
        ("package:__main__", "no package '__main__' is installed"),
        ("package:" + "a/" * 5000, "no package 'a' is installed"),
        ("a" * 5000, "no such folder or file"),
        ("nul\0byte", "no such folder or file"),
        ("~nobody_of_this_name/model", "no such folder or file"),
    ],
)
def test_what_is_nowhere_is_one_sentence(given: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        find(given)
    assert "\n" not in str(caught.value)


def test_a_folder_or_a_file_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has no config\.json"):
        find(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(SourceError, match="has an adapter without its model"):
        find(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(SourceError, match="is no GGUF file"):
        find(tmp_path / "pytorch_model.bin")


def test_the_network_is_asked_for_models_of_the_hub_alone(tmp_path: Path) -> None:
    def asks(given: object) -> bool:
        return asks_the_hub(PretrainedConfig(pretrained=str(given)))

    assert asks(f"owner/name@{'0' * 40}")
    assert not asks("owner/name")
    assert not asks(tmp_path)
    assert not asks("package:llm/inner")
    assert not asks("small.gguf")
