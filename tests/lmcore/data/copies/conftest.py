"""What tests of clustering share: scratch of any size, and the rows that hang together."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmcore.data.copies.scratch import Scratch

MakeScratch = Callable[..., Scratch]


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """As an ingest has it."""
    return Scratch(tmp_path)


@pytest.fixture(scope="module")
def make_scratch(tmp_path_factory: pytest.TempPathFactory) -> MakeScratch:
    """Scratch of a given memory, in one folder: properties are tested many times."""
    folder = tmp_path_factory.mktemp("scratch")
    return lambda memory, cache=None: Scratch(folder, memory=memory, cache=cache)


@pytest.fixture(scope="session")
def components() -> Callable[[int, Any], list[int]]:
    """For each row the smallest one that it hangs together with, by looking at every pair."""

    def of(size: int, pairs: Any) -> list[int]:
        roots = list(range(size))
        for a, b in pairs:
            low, high = sorted((roots[a], roots[b]))
            roots = [low if root == high else root for root in roots]
        return roots

    return of
