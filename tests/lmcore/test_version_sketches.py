"""Sketches are taken over from an earlier version, and are what they would be without it."""

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lmcore import version_assembly, version_sketches
from lmcore.content_store import ContentStore
from lmcore.data.copies.sketches import sketch_text
from lmcore.data.documents import SPLITS, Document, DocumentSet, RowWriter
from lmcore.version_folder import VersionFolder, open_version
from lmcore.version_sketches import SKETCHED_BY, make_sketches, sketched, sketching_code

Assemble = Callable[..., VersionFolder]
TEXTS = [f"{n} green bottles hanging on the wall, and {n * n} more. " * 20 for n in range(60)]


def documents(numbers: range | list[int]) -> Any:
    # 16 digits that agree must not be taken for the same document.
    return [SimpleNamespace(id=f"{n % 7:016x}{n:048x}", text=TEXTS[n]) for n in numbers]


@pytest.fixture
def earlier(assemble: Assemble, monkeypatch: pytest.MonkeyPatch) -> VersionFolder:
    """A version of fifty documents, in parts of eight or so."""
    monkeypatch.setattr(version_assembly, "_ROWS_A_FILE", 8)
    return assemble(
        sketches=sketched(documents(range(50)), None), summary={SKETCHED_BY: sketching_code()}
    )


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts that are sketched."""
    texts: list[str] = []

    def counted(text: str) -> Any:
        texts.append(text)
        return sketch_text(text)

    monkeypatch.setattr(version_sketches, "sketch_text", counted)
    return texts


@pytest.mark.parametrize(
    "numbers",
    [range(50), [*range(10), *range(50, 60), *range(10, 50)], [59, *range(49, -1, -3)], []],
    ids=["the same", "with new ones", "backwards with gaps", "none"],
)
def test_what_is_known_is_not_made_again(
    earlier: VersionFolder, made: list[str], numbers: Any
) -> None:
    assert len(list(earlier.parts("sketches"))) > 3
    found = list(sketched(documents(numbers), earlier))
    assert made == [TEXTS[n] for n in numbers if n >= 50]
    assert found == [(d.id, sketch_text(d.text).to_bytes()) for d in documents(numbers)]


def test_what_other_code_made_is_made_again(
    assemble: Assemble, earlier: VersionFolder, made: list[str]
) -> None:
    rows = list(earlier.sketches())
    for summary in ({SKETCHED_BY: "0" * 64}, {}):
        other = assemble(sketches=rows, summary=summary)
        made.clear()
        assert list(sketched(documents(range(50)), other)) == rows
        assert len(made) == 50


def test_what_is_damaged_is_made_again(
    earlier: VersionFolder, made: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    rows = list(earlier.sketches())
    part = next(iter(earlier.parts("sketches")))
    content = part.read_bytes()
    light = open_version(earlier.path, whole=False)
    part.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    with caplog.at_level(logging.WARNING):
        assert list(sketched(documents(range(50)), light)) == rows
    assert len(made) == 50
    assert "sketched again" in caplog.text


def test_a_version_without_sketches_has_none_to_take_over(
    assemble: Assemble, made: list[str]
) -> None:
    empty = assemble(summary={SKETCHED_BY: sketching_code()})
    assert len(list(sketched(documents(range(3)), empty))) == 3
    assert len(made) == 3


def test_all_of_a_set_are_made_once_and_read_back_in_order(tmp_path: Path, made: list[str]) -> None:
    store = ContentStore(tmp_path)

    def write(folder: Path) -> None:
        with RowWriter(folder) as writer:
            for place, d in enumerate(documents([5, 3, 8, 1])):
                facts = {"name": "a", "source": 0, "license": "CC0-1.0", "origin": "a test"}
                split, size = SPLITS[place], len(d.text)
                writer.add_document(
                    Document(
                        **{**facts, **vars(d), "num_bytes": size, "split": split},
                        anchor=False,
                        cluster=d.id,
                    )
                )

    found = store.build(DocumentSet, {}, write)
    expected = list(sketched(documents([5, 3, 8, 1]), None))
    for earlier_calls in (4, 8):
        assert len(made) == earlier_calls
        assert list(make_sketches(store, found, None).rows()) == expected
    assert len(made) == 8
