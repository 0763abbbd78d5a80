"""A model of the hub is fetched at its revision, weights and settings alone."""

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.utils.tqdm import are_progress_bars_disabled

from lmcore.errors import SourceError
from lmcore.model.config import PretrainedConfig
from lmcore.model.pretrained.places import find_place

REVISION = "0123456789abcdef0123456789abcdef01234567"


def test_the_revision_is_what_is_asked_for_and_no_code_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def download(repository: str, **options: Any) -> str:
        asked.update(options, repository=repository, bars=not are_progress_bars_disabled())
        (tmp_path / "config.json").write_text("{}")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    place = find_place(PretrainedConfig(pretrained=f"owner/name@{REVISION}"))
    assert (place.folder, place.source) == (tmp_path, f"owner/name@{REVISION}")
    assert place.title == "owner/name"
    assert (asked["repository"], asked["revision"]) == ("owner/name", REVISION)
    assert not asked["bars"]
    assert not are_progress_bars_disabled()
    assert not [p for p in asked["allow_patterns"] if p.endswith((".py", ".bin", ".pt", "*"))]


def test_offline_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(SourceError, match="could not be fetched") as caught:
        find_place(PretrainedConfig(pretrained=f"owner/name@{REVISION}"))
    assert "\n" not in str(caught.value)
    assert "give the folder of a local copy" in str(caught.value)
