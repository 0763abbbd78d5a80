"""The step that imports a model does so where a configuration names one, and once."""

import json
from pathlib import Path

import pytest

pytest.importorskip("transformers")
from pretrained_models import write_library_folder

from flows.home.folders import make_home
from flows.steps.import_model import import_model, spdx_name
from lmcore.config import RunConfig, parse_config
from lmcore.errors import ConfigError, UserError


def config(**model: object) -> RunConfig:
    values = {"name": "m", "sources": [{"path": "texts"}], "model": model}
    return parse_config(values, where="test")


def test_random_weights_need_no_model(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    assert import_model(config(pattern="LA"), home) is None


def test_it_is_imported_once_and_its_bytes_are_what_counts(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    places = [write_library_folder(tmp_path / name) for name in ("one", "two")]
    configs = [config(pretrained=str(place)) for place in places]
    first, second = (import_model(c, home) for c in configs)
    assert first is not None
    assert second is not None
    assert first.key == second.key
    assert configs[0].fingerprint() == configs[1].fingerprint()
    assert config(pretrained=str(places[0]), rank=8).fingerprint() != configs[0].fingerprint()


def test_a_word_for_a_licence_is_one_or_none() -> None:
    assert spdx_name("apache-2.0") == "Apache-2.0"
    assert spdx_name("mit") == "MIT"
    for none in ("", "unknown", "other", "llama3.1", "see below"):
        assert spdx_name(none) is None


def test_a_licence_is_spelled_as_spdx_does_or_refused(tmp_path: Path) -> None:
    folder, home = write_library_folder(tmp_path / "model"), make_home(tmp_path / "home")
    base = import_model(config(pretrained=str(folder), license="apache-2.0"), home)
    assert base is not None
    assert base.record().license == "Apache-2.0"
    with pytest.raises(ConfigError, match=r"^model\.license: 'apache' is not an SPDX"):
        import_model(config(pretrained=str(folder), license="apache"), home)


def test_a_tokenizer_that_cannot_be_used_stops_before_text_is_read(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path / "model")
    path = folder / "tokenizer.json"
    made = json.loads(path.read_text())
    made["normalizer"] = {"type": "Replace", "pattern": {"String": "a"}, "content": "b" * 100_000}
    path.write_text(json.dumps(made))
    with pytest.raises(UserError, match="tokenizer"):
        import_model(config(pretrained=str(folder)), make_home(tmp_path / "home"))
