"""A version that reads along answers nobody, and is held against the one that does."""

from __future__ import annotations

from typing import Any

import pytest

from flows.commands.shared.reading_along import read_beside, sentence
from flows.home.environment import Home
from flows.registry.models import Registry
from lmcore.data.requests.config import ServeConfig
from lmcore.data.requests.lines import Beside
from lmcore.data.requests.parts import SHADOW, read_lines

SAMPLED = ServeConfig(record="sampled", share=1.0)


def lines(home: Home) -> list[Beside]:
    found = read_lines(home.requests / "speeches" / SHADOW)
    return [line for line in found if isinstance(line, Beside)]


def test_both_versions_read_what_one_is_asked(serve_home: Any, served_home: Home, go: Any) -> None:
    go(served_home, 2, 1)  # version 1 is the previous one now
    settings = {"settings": {"speeches": SAMPLED}, "shadow": "previous"}
    with serve_home(served_home, **settings) as served:
        for number in range(12):
            answer = served.complete(prompt=f"The house {number}", max_tokens=2, seed=1)
            assert answer.headers["X-Lmcore-Version"] == "speeches:2"
    found = lines(served_home)
    assert {(line.version, line.shadow) for line in found} == {(2, 1)}
    # One is passed over where another one waits just then.
    assert 6 <= len(found) <= 12
    # Nothing was learnt, so each byte costs both the same.
    assert all(line.bits is not None and line.bits[0] == line.bits[1] > 0 for line in found)
    assert b"house" not in b"".join(
        path.read_bytes() for path in (served_home.requests / "speeches" / SHADOW).iterdir()
    )
    registry = Registry(served_home)
    (told,) = read_beside(served_home, registry.version("speeches", 1))
    assert (told["version"], told["shadow"], told["requests"]) == (2, 1, len(found))
    assert told["bits_per_byte"]["n"] == len(found)
    assert sentence(told).startswith(f"version 2, {len(found)} requests: ")
    assert sentence(told).endswith("bits per byte more")
    assert read_beside(served_home, registry.version("speeches", 2)) == []


@pytest.mark.parametrize("alias", ["challenger", "champion"])
def test_without_another_version_nothing_is_read(
    serve_home: Any, served_home: Home, alias: str
) -> None:
    settings = {"settings": {"speeches": SAMPLED}, "shadow": alias}
    with serve_home(served_home, **settings) as served:
        assert served.complete(max_tokens=2).status_code == 200
    assert all(line.shadow != line.version for line in lines(served_home))
