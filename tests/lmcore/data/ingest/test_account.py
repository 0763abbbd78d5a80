"""Counts of documents, and what is told of them: each figure by hand."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lmcore.data.config import SourceConfig
from lmcore.data.ingest import account
from lmcore.data.ingest.account import Counts, full_account, summarise, write_sources
from lmcore.data.ingest.assignment import Assignment
from lmcore.data.ingest.near_copies import NearCopies
from lmcore.data.ingest.places import CODES, ClusterCounts, PlacedTexts
from lmcore.data.ingest.reading_counts import Tally
from lmcore.data.ingest.split import in_anchor_slice
from lmcore.data.sources.located import fingerprint_sources
from lmcore.data.text.privacy import Masked

NEAR_COPIES = NearCopies(pairs=3, templates=1, letters=600, shared=0.8514)
ASSIGNMENT = Assignment(
    known=4,
    near_copies=NEAR_COPIES,
    other_forms=6,
    appointed=2,
    bridging=1,
    copies=5,
)
CLUSTERS = ClusterCounts(num_shared=1, documents_in_shared=2, by_side={"train": 2, "validation": 1})


def some(
    *names: str,
    side: str = "train",
    cluster: bytes = b"c",
    shared: bool = False,
    source: int = 0,
    num_bytes: int = 1,
) -> PlacedTexts:
    """Texts that are on one side, and in one cluster."""
    number = len(names)
    return PlacedTexts(
        texts=pa.table({"num_bytes": [num_bytes] * number}),
        names=pa.chunked_array([pa.array(names)]),
        source=source,
        ids=np.zeros((number, 1), np.uint8),
        clusters=np.frombuffer(cluster * number, np.uint8).reshape(number, -1),
        sides=np.full(number, CODES[side], np.uint8),
        shared=np.full(number, shared),
    )


@pytest.fixture
def count() -> Counts:
    """Three documents of two sources, two of them near-copies."""
    count = Counts(2)
    count.add(some("b", shared=True, num_bytes=10))
    count.add(some("a", shared=True, num_bytes=20, source=1))
    # Half of all clusters are in the anchor slice, this one among them.
    assert in_anchor_slice(b"e")
    count.add(some("c", side="validation", cluster=b"e", num_bytes=3, source=1))
    return count


@pytest.fixture
def tally(tmp_path: Path) -> Tally:
    """Of six records: three documents, an exact duplicate, and two that were left out."""
    with Tally(tmp_path / "quarantine.jsonl", salt=b"") as tally:
        for _ in range(6):
            tally.record()
        tally.duplicate("b:2", 10)
        tally.drop("removed", 1, 4)
        tally.drop("empty", 1, 0)
        tally.masked(Masked(text="<EMAIL> <EMAIL>", counts={"EMAIL": 2}))
        return tally


def test_documents_are_counted_by_side_and_by_source(count: Counts) -> None:
    assert (count.documents, count.num_bytes) == (3, 33)
    assert count.by_side == {
        "train": [2, 30],
        "tune": [0, 0],
        "validation": [1, 3],
        "excluded": [0, 0],
    }
    assert count.by_source == [[1, 10], [2, 23]]
    assert count.examples == {b"c": ["b", "a"]}


def test_examples_of_near_copies_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "MAX_EXAMPLES", 2)
    monkeypatch.setattr(account, "_MAX_EXAMPLE_NAMES", 3)
    count = Counts(1)
    for number in range(5):
        for cluster in (b"x", b"y", b"z"):
            name = f"{cluster.decode()}{number}"
            count.add(some(name, cluster=cluster, shared=True))
    assert count.examples == {b"x": ["x0", "x1", "x2"], b"y": ["y0", "y1", "y2"]}
    assert count.documents == 15


def test_the_account_says_what_every_rule_did(tally: Tally, count: Counts) -> None:
    found = full_account(tally, count, CLUSTERS, ASSIGNMENT)
    assert found["records"] == {
        "read": 6,
        "exact_duplicates": 1,
        "dropped": 2,
        "quarantined": 0,
        "documents": 3,
    }
    assert found["bytes"] == {"read": 0, "documents": 33}
    assert found["near_duplicates"] == {
        "clusters": 1,
        "documents": 2,
        "pairs": 3,
        "other_forms": 6,
        "templates": {"templates": 1, "documents": 600, "shared": 0.851},
        "examples": [["b", "a"]],
    }
    assert found["split"] == {
        "sides": {
            "train": {"documents": 2, "bytes": 30, "clusters": 2},
            "tune": {"documents": 0, "bytes": 0, "clusters": 0},
            "validation": {"documents": 1, "bytes": 3, "clusters": 1},
            "excluded": {"documents": 0, "bytes": 0, "clusters": 0},
        },
        "anchor_documents": 1,
        "known_documents": 4,
        "appointed_clusters": 2,
        "excluded": {"near_copies_of_two_sides": 1, "near_copies_of_validation": 5},
    }
    # What the reading pass told is in it unchanged.
    assert {key: found[key] for key in ("masked", "dropped", "exact_duplicates")} == {
        key: tally.to_json()[key] for key in ("masked", "dropped", "exact_duplicates")
    }


def test_the_summary_adds_sources_of_one_licence_and_names_each_unit_once(
    tally: Tally, count: Counts
) -> None:
    found = summarise(
        tally,
        count,
        CLUSTERS,
        near_copies=NEAR_COPIES,
        licenses=["MIT", "MIT"],
        units=["record", "file"],
    )
    assert found == {
        "documents": 3,
        "bytes": 33,
        "train_documents": 2,
        "tune_documents": 0,
        "validation_documents": 1,
        "excluded_documents": 0,
        "train_bytes": 30,
        "tune_bytes": 0,
        "validation_bytes": 3,
        "excluded_bytes": 0,
        "anchor_documents": 1,
        "exact_duplicates": 1,
        "near_duplicate_clusters": 1,
        "template_documents": 600,
        "template_share": 0.851,
        "quarantined": 0,
        "removed_documents": 1,
        "masked": {"EMAIL": 2},
        "licenses": {"MIT": 33},
        "unit": "file+record",
    }
    apart = summarise(
        tally,
        count,
        CLUSTERS,
        near_copies=NEAR_COPIES,
        licenses=["MIT", "0BSD"],
        units=["file", "file"],
    )
    assert list(apart["licenses"].items()) == [("0BSD", 23), ("MIT", 10)]
    assert apart["unit"] == "file"


def test_a_source_is_described_without_the_place_it_lies_in(tmp_path: Path, count: Counts) -> None:
    (tmp_path / "a.de").write_text("eins\n")
    (tmp_path / "a.en").write_text("one\n")
    (tmp_path / "b.txt").write_text("abc")
    sources = fingerprint_sources(
        [
            SourceConfig(
                path=str(tmp_path / "a.de"),
                target_path=str(tmp_path / "a.en"),
                format="parallel",
                origin="here",
            ),
            SourceConfig(path=str(tmp_path / "b.txt")),
        ]
    ).sources
    written = tmp_path / "sources.json"
    units = ["record", "file"]
    write_sources(written, sources, licenses=["MIT", "0BSD"], units=units, count=count)
    first, second = json.loads(written.read_text())["sources"]
    assert [file["name"] for file in first["files"]] == ["a.de", "a.en"]
    assert (first["license"], first["origin"], first["unit"]) == ("MIT", "here", "record")
    assert (first["documents"], first["bytes"]) == (1, 10)
    assert second["files"] == [
        {
            "name": "b.txt",
            "bytes": 3,
            # SHA-256 of "abc": FIPS 180-2, appendix B.1.
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "problem": "",
        }
    ]
    assert str(tmp_path) not in str((first, second))
