"""Bytes a token on known and on new text, by a tokenizer whose tokens can be counted by hand."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lmcore.data.tokens import tokenizer_fit
from lmcore.data.tokens.tokenizer_fit import FEWEST_BYTES, Fit, fit_of


@dataclass(frozen=True)
class Text:
    id: str
    text: str


class Texts:
    """A train split as far as the fit asks."""

    def __init__(self, **texts: str) -> None:
        self.texts = texts

    def iter_documents(self, *splits: str) -> Iterator[Text]:
        assert splits == ("train",)
        return (Text(name, text) for name, text in self.texts.items())


class Words:
    """A token for each word; it remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, text: str) -> list[int]:
        self.asked.append(text)
        return [0] * len(text.split())


def fit(texts: Texts, *known: str, words: Words | None = None) -> Fit:
    tokenizer: Any = words or Words()
    documents: Any = texts
    return fit_of(tokenizer, documents, known=set(known))


def test_known_and_new_text_are_counted_apart() -> None:
    # Five bytes a word that is known, and two bytes a character of the other alphabet.
    found = fit(Texts(old="four " * 2_000, new="éé é " * 1_000), "old")
    assert found == Fit(known=5.0, new=4.0, new_bytes=8_000)
    assert found.within(0.2)
    assert not found.within(0.19)


def test_text_of_which_there_is_next_to_none_is_no_evidence() -> None:
    found = fit(Texts(old="four " * 2_000, new="a " * ((FEWEST_BYTES - 2) // 2)), "old")
    assert (found.new, found.new_bytes) == (None, FEWEST_BYTES - 2)
    assert found.within(0.0)
    assert fit(Texts(old="four"), "old") == Fit(known=4.0, new=None, new_bytes=0)


def test_without_known_text_anything_fits() -> None:
    found = fit(Texts(new="a " * FEWEST_BYTES))
    assert found == Fit(known=0.0, new=2.0, new_bytes=2 * FEWEST_BYTES)
    assert found.within(0.0)


def test_no_more_is_read_than_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_fit, "SAMPLE_BYTES", 10)
    words = Words()
    fit(Texts(a="x" * 25, b="new text", c="yy", d="more of it", e="last"), "a", "c", words=words)
    assert words.asked == ["x" * 10, "new text", "more of it"]
