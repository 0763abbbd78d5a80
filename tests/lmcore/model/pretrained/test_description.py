"""What a model says of itself is kept and not believed."""

from pathlib import Path

import pytest

from lmcore.model.pretrained.description import card_of, license_in
from lmcore.model.pretrained.places import Place


def place(folder: Path, *names: str) -> Place:
    files = {name: folder / name for name in names}
    return Place(source="a", kind="folder", folder=folder, files=files, title="a")


def test_the_beginning_of_a_readme_is_the_card(tmp_path: Path) -> None:
    assert card_of(place(tmp_path)) == ""
    (tmp_path / "README.md").write_bytes(b"a\xff" + b"b" * 100_000)
    card = card_of(place(tmp_path, "README.md"))
    assert card.startswith("a\N{REPLACEMENT CHARACTER}b")
    assert len(card) == 1 << 16


@pytest.mark.parametrize(
    ("card", "license_"),
    [
        ("---\nlicense: apache-2.0\nlanguage: en\n---\n# A", "apache-2.0"),
        ("---\r\nlanguage: en\r\nlicense: 'mit'\r\n---\r\n", "mit"),
        ('---\nlicense: "cc-by-4.0"\n---', "cc-by-4.0"),
        ("---\ntags: [a]\n---\nlicense: mit", ""),
        ("license: mit", ""),
        ("---\nlicense: [mit, other]\n---\n", ""),
        ("---\nlicense: a thing\n---\n", ""),
        ("---\n" * 20_000, ""),
        ("", ""),
    ],
)
def test_one_word_for_the_licence_at_the_head(card: str, license_: str) -> None:
    assert license_in(card) == license_
