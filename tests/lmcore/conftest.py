"""Registry versions put together of small files, and one thread for models that are small."""

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from lmcore.version_assembly import VersionParts, assemble_version
from lmcore.version_folder import VersionFolder

Assemble = Callable[..., VersionFolder]


class Bomb:
    """Unpickled, it leaves a marker."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A folder that is there if `bomb` was loaded."""
    return tmp_path / "marker"


@pytest.fixture
def bomb(marker: Path) -> bytes:
    """A pickle that does something when it is loaded."""
    return pickle.dumps(Bomb(marker))


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Folders of weights, tokenizer and evaluation."""
    folder = tmp_path / "parts"
    for name in ("best", "tokenizer", "evaluation"):
        (folder / name).mkdir(parents=True)
    (folder / "best" / "model.safetensors").write_bytes(b"weights")
    (folder / "best" / "model.json").write_text("{}")
    (folder / "tokenizer" / "tokenizer.json").write_text("{}")
    (folder / "tokenizer" / "manifest.json").write_text("of the step that made it")
    (folder / "evaluation" / "scores-validation.parquet").write_bytes(b"PAR1")
    return folder


@pytest.fixture
def assemble(tmp_path: Path, parts: Path) -> Assemble:
    """Put a version of three documents together, some of its parts changed."""

    def make(**changes: object) -> VersionFolder:
        row = {
            **{"id": "a" * 64, "name": "Bücher/1.txt", "source": 0, "license": "CC0-1.0"},
            **{"origin": "here", "num_bytes": 6, "split": "train", "cluster": "a" * 64},
            **{"date": None, "anchor": True, "text": "SECRET TEXT", "target": "SECRET LABEL"},
        }
        details: dict[str, object] = {
            "best": parts / "best",
            "tokenizer": parts / "tokenizer",
            "evaluation": parts / "evaluation",
            "documents": (row for _ in range(3)),
            "sources": [{"origin": "here"}],
            "config": "name: x\n",
            "report": "<!doctype html>",
            "card": "# x",
            "lineage": {"data": "d", "plan": {"steps": 1}},
        }
        return assemble_version(tmp_path / "version", VersionParts(**{**details, **changes}))  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Models this small are slower on two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
