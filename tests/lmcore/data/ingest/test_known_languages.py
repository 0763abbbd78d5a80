"""Languages that were told are not told again, and what is counted is the same."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from declaration import ARTICLE_1

from lmcore.content_store import ContentStore
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest import known_languages as module
from lmcore.data.ingest.known_languages import (
    LANGUAGES_FILE,
    key_of,
    known_languages,
    write_languages,
)
from lmcore.data.ingest.language_counts import LanguageCounts
from lmcore.data.text.languages import Identifier

MADE_OF = "settings"
LANGUAGES = ["en", "de", "ru", "en"]
TEXTS = [f"{ARTICLE_1[code]} {number}" for number, code in enumerate(LANGUAGES * 5)]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts whose language was asked."""
    asked: list[str] = []
    ask = Identifier.languages

    def noted(self: Identifier, texts: Any) -> list[str]:
        asked.extend(texts)
        return ask(self, texts)

    monkeypatch.setattr(Identifier, "languages", noted)
    return asked


def count(
    texts: list[str], targets: list[str] | None = None, known: Mapping[bytes, str] | None = None
) -> LanguageCounts:
    counts = LanguageCounts(len(texts), asked_for=None, known=known)
    for number, text in enumerate(texts):
        counts.add(identity(text), text, targets[number] if targets else None)
    return counts


def identity(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def keep(store: ContentStore, languages: Mapping[bytes, str], number: int = 0) -> Path:
    """A set of documents that holds these."""

    def make(folder: Path) -> None:
        write_languages(folder, languages, made_of=MADE_OF)

    return store.build(DocumentSet, {"number": number}, make).path


def test_what_is_known_is_not_told_again_and_the_counts_are_the_same(
    tmp_path: Path, told: list[str]
) -> None:
    store = ContentStore(tmp_path)
    assert known_languages(store, made_of=MADE_OF) == {}
    first = count(TEXTS[:12])
    first.to_json()
    keep(store, first.languages)
    known = known_languages(store, made_of=MADE_OF)
    assert known == first.languages
    assert known[identity(TEXTS[2])] == "ru"
    cold = count(TEXTS).to_json()
    told.clear()
    warm = count(TEXTS, known=known)
    assert warm.to_json() == cold
    assert told == TEXTS[12:]
    # A text that is gone is not kept.
    assert warm.languages.keys() == {identity(text) for text in TEXTS}


def test_a_target_that_changed_is_told_again(told: list[str]) -> None:
    first = count(TEXTS[:1], [ARTICLE_1["fr"]])
    first.to_json()
    told.clear()
    again = count(TEXTS[:1], [ARTICLE_1["de"]], known=first.languages).to_json()
    assert told == [ARTICLE_1["de"]]
    assert list(again["targets"]) == ["de"]


def test_the_file_is_the_same_in_whatever_order_it_was_told(tmp_path: Path) -> None:
    languages = {key_of(text): "en" for text in TEXTS}
    for name, order in (("one", languages), ("other", dict(reversed(languages.items())))):
        (tmp_path / name).mkdir()
        write_languages(tmp_path / name, order, made_of=MADE_OF)
    one, other = ((tmp_path / name / LANGUAGES_FILE).read_bytes() for name in ("one", "other"))
    assert one == other


def test_nothing_is_known_of_what_is_damaged_or_was_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ContentStore(tmp_path)
    folder = keep(store, {key_of(text): "en" for text in TEXTS})
    path = folder / LANGUAGES_FILE
    content = path.read_bytes()
    for damaged in (content[:-9] + bytes([content[-9] ^ 1]) + content[-8:], content[:20], b""):
        path.write_bytes(damaged)
        assert known_languages(store, made_of=MADE_OF) == {}
    path.write_bytes(content)
    assert len(known_languages(store, made_of=MADE_OF)) == len(TEXTS)
    # Where personal data is masked otherwise, the text of an id is another one.
    assert known_languages(store, made_of="other settings") == {}
    monkeypatch.setattr(module, "_telling", lambda made_of: b"another model")
    assert known_languages(store, made_of=MADE_OF) == {}


def test_the_newest_set_counts(tmp_path: Path) -> None:
    import os

    store = ContentStore(tmp_path)
    for number, code in enumerate(("en", "de", "fr")):
        folder = keep(store, {key_of("text"): code}, number)
        os.utime(folder, (1000 + number, 1000 + number))
    assert known_languages(store, made_of=MADE_OF) == {key_of("text"): "fr"}
