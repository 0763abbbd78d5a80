"""Paths that none can be are one sentence, before a file system is asked."""

from pathlib import Path

import pytest

from lmcore.errors import UserError
from lmcore.typed_path import MAX_NAME_BYTES, typed_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~nosuchuser/x", "nobody here has that home"),
        ("x" * 300, "too long for a path"),
        ("ü" * 128, "the longest name in it has 256"),
        ("x/" * 3000, "too long for a path"),
        ("a\0b", "U+0000"),
        ("\ud800", "no file can be called so"),
    ],
)
def test_what_can_be_no_path(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        typed_path(text, base=tmp_path, key="sources.0.path")
    assert expected in str(caught.value)
    assert str(caught.value).startswith("sources.0.path=")
    assert len(str(caught.value)) < 400


def test_what_can_be_one(tmp_path: Path) -> None:
    assert typed_path("a/b", base=tmp_path) == tmp_path / "a" / "b"
    assert typed_path("~/a", base=tmp_path) == Path.home() / "a"
    assert typed_path("/a", base=tmp_path) == Path("/a")
    longest = "x" * MAX_NAME_BYTES
    assert typed_path(longest, base=tmp_path).name == longest
    assert typed_path("\udcff", base=tmp_path).name == "\udcff"  # bytes that are no UTF-8
    pattern = f"{longest}[a-z]"  # means no more than names do
    assert typed_path(pattern, base=tmp_path).name == pattern
