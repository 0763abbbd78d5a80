"""A small harness: write files, ingest them, look at the result."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from lmcore.content_store import ContentStore
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest.ingest import ingest
from lmcore.data.ingest.split import SplitLedger
from lmcore.data.sources.apart.process import kept_processes


@pytest.fixture(scope="session", autouse=True)
def _one_process_reads_for_all() -> Iterator[None]:
    """Begin the process that reads files apart once, and not for each test."""
    with kept_processes():
        yield


class Ingest(Protocol):
    def __call__(
        self,
        *sources: dict[str, Any],
        home: str = "home",
        policy: dict[str, Any] | None = None,
        **data: Any,
    ) -> DocumentSet: ...


@pytest.fixture
def run_ingest(tmp_path: Path) -> Ingest:
    """Ingest sources into a home below `tmp_path`; the same home keeps its split ledger."""

    def run(
        *sources: dict[str, Any],
        home: str = "home",
        policy: dict[str, Any] | None = None,
        **data: Any,
    ) -> DocumentSet:
        return ingest(
            ContentStore(tmp_path / home / "store"),
            sources=[SourceConfig(**source) for source in sources],
            # What is to be set aside here is set aside; the share has tests of its own.
            data=DataConfig(**{"max_quarantine_share": 1.0, **data}),
            policy=PolicyConfig(**(policy or {})),
            ledger=SplitLedger(tmp_path / home / "split.sqlite"),
        )

    return run


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Write one text a line; returns the source."""

    def write(name: str, texts: list[str], **settings: Any) -> dict[str, Any]:
        path = tmp_path / name
        path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
        return {"path": str(path), "format": "lines", **settings}

    return write


@pytest.fixture
def write_records(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Write one text a JSON line, line ends and all; returns the source."""

    def write(name: str, texts: list[str], **settings: Any) -> dict[str, Any]:
        path = tmp_path / name
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        return {"path": str(path), **settings}

    return write


def _every(text: str, mark: str, distance: int) -> str:
    """A mark inside every word, each so many letters."""
    return " ".join(
        mark.join(word[i : i + distance] for i in range(0, len(word), distance))
        for word in text.split(" ")
    )


def _full_width(text: str) -> str:
    return "".join(
        chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else "\u3000" if c == " " else c for c in text
    )


def _ligatures(text: str) -> str:
    for plain, ligature in (("ffi", "ﬃ"), ("ff", "ﬀ"), ("fi", "ﬁ"), ("fl", "ﬂ"), ("st", "ﬆ")):
        text = text.replace(plain, ligature)
    return text


COPIES: dict[str, Callable[[str], str]] = {
    "soft hyphens": lambda text: _every(text, "\u00ad", 3),
    "zero width": lambda text: _every(text, "\u200b", 2),
    "non-joiners": lambda text: _every(text, "\u200c", 4),
    "full width": _full_width,
    "broken words": lambda text: re.sub(r"([^\W\d_]{3})(?=[^\W\d_])", r"\1-\n", text),
    "ligatures": _ligatures,
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "capitals": str.upper,
}


@pytest.fixture(params=COPIES)
def copy_of(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """A text as somebody else wrote it: nothing that a reader would see as another text."""
    return COPIES[request.param]
