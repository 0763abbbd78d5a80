"""Staged texts, without sources around them."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lmcore.data.ingest.staging import Staging
from tests.support.parts import part


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Callable[..., Staging]]:
    """Stage texts, each with the side that its source names; those in a row are one part."""
    made: list[Staging] = []

    def run(*texts: tuple[str, str | None]) -> Staging:
        folder = tmp_path / f"staging-{len(made)}"
        folder.mkdir()
        made.append(staging := Staging(folder, near_duplicates=True))
        for named, some in itertools.groupby(texts, lambda pair: pair[1]):
            rows = [{"text": text, "date": None, "target": "label"} for text, _ in some]
            found = part(folder / "parts", rows)
            staging.add_part(found, source=0, shift=0, forced=named, condemned=())
        staging.finish(on_duplicate=lambda name, size: None)
        return staging

    yield run
    for staging in made:
        staging.close()
