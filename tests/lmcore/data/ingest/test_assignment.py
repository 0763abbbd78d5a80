"""Clusters and sides of a whole corpus: copies on one side, and every side for ever."""

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.content_store import ContentStore
from lmcore.counted import counted
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig
from lmcore.data.documents import Document, DocumentSet
from lmcore.data.ingest.ingest import ingest
from lmcore.data.ingest.split import SplitLedger, side_of
from lmcore.data.text.cleaning import document_id
from lmcore.errors import SourceError

Write = Callable[..., dict[str, Any]]
RunIngest = Callable[..., DocumentSet]


def _texts(count: int, *, start: int = 0) -> list[str]:
    return [
        f"Text number {i} says {i * i} and {i * 7919 % 104729}."
        for i in range(start, start + count)
    ]


def _sides(found: DocumentSet) -> dict[str, str]:
    return {document.text: document.split for document in found.iter_documents()}


def _long(topic: str, *, words: int = 400, start: int = 0) -> str:
    return " ".join(
        hashlib.sha256(f"{topic} {i}".encode()).hexdigest()[:7] for i in range(start, start + words)
    )


def _on(side: str, make: Callable[[int], str], data: DataConfig | None = None) -> str:
    """The first text of a series that hashes to a side."""
    for i in range(10_000):
        anchor = bytes.fromhex(document_id(make(i)))
        if side_of(anchor, data=data or DataConfig()) == side:
            return make(i)
    raise AssertionError(side)


def test_splits_are_disjoint_and_stay_when_documents_come_and_go(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    first = _sides(run_ingest(write_lines("a.txt", _texts(200))))
    more = write_lines("b.txt", _texts(150, start=150))
    grown = _sides(run_ingest(write_lines("a.txt", _texts(200)), more))
    assert len(grown) == 300
    assert {text: grown[text] for text in first} == first
    shrunk = _sides(run_ingest(more))
    assert all(grown[text] == side for text, side in shrunk.items())
    other_home = _sides(run_ingest(write_lines("a.txt", _texts(200)), home="other"))
    assert other_home == first


def test_the_order_of_sources_and_of_lines_is_irrelevant(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    texts = [*_texts(80), *(f"{_long('copy', start=i * 3)}" for i in range(12))]
    a, b = write_lines("a.txt", texts[:50]), write_lines("b.txt", texts[40:])
    forward = run_ingest(a, b, home="one")
    backward = run_ingest(write_lines("b2.txt", texts[40:][::-1]), a, home="two")
    assert _sides(forward) == _sides(backward)
    clusters = [{d.id: d.cluster for d in found.iter_documents()} for found in (forward, backward)]
    assert clusters[0] == clusters[1]


def test_near_copies_share_a_cluster_whose_anchor_is_the_smallest_id(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    copies = [_long("speech", start=i * 4) for i in range(6)]
    found = run_ingest(write_lines("a.txt", [*_texts(60), *copies]))
    members = [d for d in found.iter_documents() if d.text in copies]
    assert len(members) == 6
    assert {d.cluster for d in members} == {min(d.id for d in members)}
    assert len({d.split for d in members}) == 1
    assert found.summary["near_duplicate_clusters"] == 1
    (names,) = found.account()["near_duplicates"]["examples"]
    assert names == [f"a.txt:{i}" for i in range(61, 67)]
    apart = run_ingest(
        write_lines("a.txt", [*_texts(60), *copies]), home="b", near_duplicates=False
    )
    assert apart.summary["near_duplicate_clusters"] == 0


def test_a_text_that_is_mostly_inside_another_is_its_near_copy(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    whole, part = _long("message", words=3_000), _long("message", words=600, start=900)
    found = run_ingest(write_lines("a.txt", [*_texts(60), whole, part, _long("other", words=600)]))
    clusters = {d.text: d.cluster for d in found.iter_documents()}
    assert clusters[whole] == clusters[part]
    assert found.summary["near_duplicate_clusters"] == 1


def test_a_new_near_copy_joins_the_known_one_even_if_that_is_gone(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    held = _on("validation", lambda i: _long(f"known {i}"))
    run_ingest(write_lines("a.txt", [*_texts(60), held]))
    copy = held + " a few words more"
    found = run_ingest(write_lines("b.txt", [*_texts(60), copy]))
    (document,) = [d for d in found.iter_documents() if d.text == copy]
    assert document.split == "validation"
    assert document.cluster == document_id(held)


def test_a_bridge_between_two_sides_is_excluded_for_good(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    left = _on("train", lambda i: _long(f"left {i}"))
    right = _on("validation", lambda i: _long(f"right {i}"))
    base = _texts(60)
    before = _sides(run_ingest(write_lines("a.txt", [*base, left, right])))
    bridge = f"{left} {right}"
    found = run_ingest(write_lines("b.txt", [*base, left, right, bridge]))
    sides = _sides(found)
    assert sides[bridge] == "excluded"
    assert {text: sides[text] for text in before} == before
    assert found.summary["excluded_documents"] == 1
    assert found.account()["split"]["excluded"]["near_copies_of_two_sides"] == 1
    again = _sides(run_ingest(write_lines("c.txt", [*base, bridge, bridge + " copied"])))
    assert again[bridge] == again[bridge + " copied"] == "excluded"


def test_sources_name_their_side_and_validation_wins(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    shared, held = _texts(1)[0], _long("held out")
    copy = held + " copied into train"
    train = write_lines("t.txt", [*_texts(100), copy], split="train")
    validation = write_lines("v.txt", [shared, held, *_texts(5, start=500)], split="validation")
    for home, sources in (("one", (train, validation)), ("two", (validation, train))):
        found = run_ingest(*sources, home=home)
        sides = _sides(found)
        assert sides[shared] == sides[held] == "validation"
        assert sides[copy] == "excluded"
        assert {sides[text] for text in _texts(5, start=500)} == {"validation"}
        assert {sides[text] for text in _texts(100)[1:]} == {"train", "tune"}
        assert found.account()["split"]["excluded"]["near_copies_of_validation"] == 1
        assert found.summary["exact_duplicates"] == 1


@pytest.mark.parametrize("count", [3, 4, 6, 10, 30])
def test_a_tiny_corpus_gets_all_its_sides_and_keeps_them(
    run_ingest: RunIngest, write_lines: Write, count: int
) -> None:
    first = run_ingest(write_lines("a.txt", _texts(count)))
    for side in ("train", "tune", "validation"):
        assert first.count(side) >= 1
    assert first.count("validation") >= min(3, count // 3)
    grown = run_ingest(write_lines("a.txt", _texts(count + 40)))
    sides = _sides(grown)
    assert {text: sides[text] for text in _sides(first)} == _sides(first)


@pytest.mark.parametrize(
    "texts", [["one"], ["one", "two"], [_long("x"), _long("x") + " y", _long("x") + " z"]]
)
def test_too_little_to_split_says_how_many_and_what_to_do(
    run_ingest: RunIngest, write_lines: Write, tmp_path: Path, texts: list[str]
) -> None:
    with pytest.raises(SourceError) as caught:
        run_ingest(write_lines("a.txt", texts))
    message = str(caught.value)
    assert f"{counted(len(texts), 'document')} in" in message
    assert "data.unit" in message
    assert "data.validation_fraction" in message
    with sqlite3.connect(tmp_path / "home" / "split.sqlite") as ledger:
        assert ledger.execute("SELECT count(*) FROM document").fetchone() == (0,)
    ledger.close()


def test_a_source_that_is_all_train_leaves_no_validation(
    run_ingest: RunIngest, write_lines: Write
) -> None:
    with pytest.raises(SourceError, match="nothing for validation"):
        run_ingest(write_lines("a.txt", _texts(50), split="train"))


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 12), st.integers(0, 8), st.sampled_from([None, "train", "validation"])
        ),
        min_size=4,
        max_size=25,
    )
)
def test_no_cluster_ever_has_train_and_validation(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[int, int, str | None]]
) -> None:
    root = tmp_path_factory.mktemp("split")
    sources = []
    for side in (None, "train", "validation"):
        texts = [
            _long(f"topic {topic}", start=3 * shift, words=120)
            for topic, shift, s in items
            if s == side
        ]
        if texts:
            path = root / f"{side}.txt"
            path.write_text("\n".join([*texts, *_texts(10)]))
            sources.append(SourceConfig(path=str(path), format="lines", split=side))
    try:
        found = ingest(
            ContentStore(root / "store"),
            sources=sources,
            data=DataConfig(),
            policy=PolicyConfig(),
            ledger=SplitLedger(root / "split.sqlite"),
        )
    except SourceError:
        return
    documents: list[Document] = list(found.iter_documents())
    assert len({d.id for d in documents}) == len(documents)
    for cluster in {d.cluster for d in documents}:
        sides = {d.split for d in documents if d.cluster == cluster} - {"excluded"}
        assert len(sides) <= 1, sides
