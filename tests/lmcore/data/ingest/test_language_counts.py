"""Languages are counted in documents and bytes; what nobody asked for is said."""

import hashlib
from typing import Any

import pytest
from declaration import ARTICLE_1

from lmcore.data.ingest import language_counts
from lmcore.data.ingest.language_counts import LanguageCounts, remarks


def count(
    texts: list[str], targets: list[str] | None = None, *, asked_for: list[str] | None = None
) -> dict[str, Any]:
    counts = LanguageCounts(len(texts), asked_for=asked_for)
    for number, text in enumerate(texts):
        target = targets[number] if targets else None
        counts.add(hashlib.sha256(f"{number}".encode()).digest(), text, target)
    return counts.to_json()


def found(**sizes: int) -> dict[str, dict[str, int]]:
    return {code: {"documents": size // 10, "bytes": size} for code, size in sizes.items()}


def test_documents_and_bytes_add_up_most_first() -> None:
    texts = [ARTICLE_1["ru"]] * 3 + [ARTICLE_1["en"], "42"]
    answer = count(texts)
    assert list(answer["texts"]) == ["ru", "en", "und"]
    assert answer["texts"]["ru"] == {"documents": 3, "bytes": 3 * len(ARTICLE_1["ru"].encode())}
    assert sum(e["bytes"] for e in answer["texts"].values()) == sum(len(t.encode()) for t in texts)
    assert (answer["documents"], answer["looked_at"], answer["asked_for"]) == (5, 5, None)
    assert "targets" not in answer


def test_targets_are_counted_apart_and_labels_not_at_all() -> None:
    answer = count([ARTICLE_1["en"]] * 4, [ARTICLE_1["de"]] * 4)
    assert (list(answer["texts"]), list(answer["targets"])) == (["en"], ["de"])
    assert answer["remarks"] == []
    assert "targets" not in count([ARTICLE_1["en"]] * 2, ["positive", "negative"])


@pytest.mark.parametrize(
    ("sizes", "asked_for", "odd"),
    [
        ({"en": 960, "de": 40}, None, []),
        ({"en": 950, "de": 50}, None, ["de (5.0 %"]),
        ({"en": 500, "und": 500}, None, []),
        ({"en": 600, "de": 300, "fr": 100}, None, ["de (30.0 %", "fr (10.0 %"]),
        ({"en": 600, "de": 300, "fr": 100}, ["en", "de", "fr"], []),
        ({"en": 980, "fr": 20}, ["en"], ["fr (2.0 %"]),
        ({"en": 990, "fr": 10}, ["en"], []),
        ({"no": 900, "und": 100}, ["nb"], []),
        ({"en": 1000}, ["de"], ["en (100.0 %"]),
        ({"und": 10}, ["de"], []),
        ({}, None, []),
    ],
)
def test_a_mixture_that_nobody_asked_for_is_said(
    sizes: dict[str, int], asked_for: list[str] | None, odd: list[str]
) -> None:
    said = remarks(found(**sizes), asked_for=asked_for, of="texts")
    assert len(said) == bool(odd)
    for part in odd:
        assert part in said[0]


def test_a_remark_says_what_to_do() -> None:
    assert remarks(found(en=900, de=100), asked_for=None, of="texts") == [
        "texts are also in de (10.0 % of the bytes, 10 of 100), beside en (90.0 %); leave them out,"
        " or set data.languages: [en, de]"
    ]
    (said,) = remarks(found(en=900, de=100), asked_for=["en"], of="targets")
    assert said.startswith("targets are also in de")
    assert "although data.languages names en" in said
    assert said.endswith("data.languages: [en, de]")


def test_of_a_large_corpus_an_even_sample_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_counts, "_MAX_DOCUMENTS", 500)
    # Every second document is in another language: a sample by place would see one of them.
    texts = [ARTICLE_1["en"], ARTICLE_1["fr"]] * 1_000
    answer = count(texts)
    assert 400 < answer["looked_at"] < 600
    assert answer["documents"] == 2_000
    shares = [entry["documents"] / answer["looked_at"] for entry in answer["texts"].values()]
    assert shares == pytest.approx([0.5, 0.5], abs=0.1)
    assert count(texts) == answer


def test_memory_holds_beginnings_of_a_few_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_counts, "_PENDING", 3)
    counts = LanguageCounts(10, asked_for=None)
    for number in range(10):
        counts.add(bytes([0, 0, 0, 0, 0, 0, 0, number]), ARTICLE_1["en"] * 1_000, ARTICLE_1["de"])
        assert sum(len(text) for _, text, _ in counts._pending["texts"]) <= 2_000
        assert len(counts._pending["targets"]) < 3
    assert counts.to_json()["targets"]["de"]["documents"] == 10
