"""A base is found by its key, whole or not at all."""

from pathlib import Path

import pytest

pytest.importorskip("transformers")
from pretrained_models import make_base

from lmcore.errors import IntegrityError
from lmcore.model.pretrained import shelf


@pytest.fixture(autouse=True)
def roots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "_roots", [])
    shelf.verified.cache_clear()


def test_it_is_found_below_a_root_that_was_named(tmp_path: Path) -> None:
    base = make_base(tmp_path / "content")
    with pytest.raises(IntegrityError, match="no folder was named"):
        shelf.find(base.key)
    shelf.use(tmp_path / "elsewhere")
    shelf.use(tmp_path / "content")
    assert shelf.find(base.key) == base.path
    with pytest.raises(IntegrityError, match="is not here"):
        shelf.find("0" * 64)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    base = make_base(tmp_path)
    shelf.use(tmp_path)
    path = base.path / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        shelf.find(base.key)


def test_a_folder_that_is_a_base_itself_is_found(tmp_path: Path) -> None:
    base = make_base(tmp_path / "content")
    shelf.use(base.path)
    assert shelf.find(base.key) == base.path
    with pytest.raises(IntegrityError, match="is not here"):
        shelf.find("0" * 64)
