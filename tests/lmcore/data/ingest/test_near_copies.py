"""What many texts share says nothing about copying; what they have of their own does."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from lmcore.data.documents import DocumentSet
from lmcore.data.ingest.near_copies import MAX_SHARING

Write = Callable[..., dict[str, Any]]
RunIngest = Callable[..., DocumentSet]


def _texts(count: int) -> list[str]:
    return [f"Text number {i} says {i * i} and {i * 7919 % 104729}." for i in range(count)]


def _long(topic: str, *, words: int = 400) -> str:
    return " ".join(hashlib.sha256(f"{topic} {i}".encode()).hexdigest()[:7] for i in range(words))


@pytest.mark.parametrize(("copies", "clusters"), [(MAX_SHARING, 1), (MAX_SHARING + 1, 0)])
def test_a_passage_that_very_many_texts_hold_says_nothing_about_copying(
    run_ingest: RunIngest, write_lines: Write, copies: int, clusters: int
) -> None:
    # Six words of ten are the passage: contained enough, and too unlike for signatures.
    notice = _long("notice", words=600)
    texts = [f"{notice} {_long(f'own {i}', words=400)}" for i in range(copies)]
    found = run_ingest(write_lines("a.txt", [*_texts(60), *texts]))
    assert found.summary["near_duplicate_clusters"] == clusters
    members = {d.cluster for d in found.iter_documents() if d.text in texts}
    assert len(members) == (1 if clusters else copies)
