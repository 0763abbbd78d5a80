"""The step that imports a model does so where a configuration names one, and once."""

from pathlib import Path

import pytest

pytest.importorskip("transformers")
from pretrained_models import write_library_folder

from flows.home.folders import make_home
from flows.steps.import_model import import_model
from lmcore.config import RunConfig, parse_config


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
