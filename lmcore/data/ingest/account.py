"""The account of an ingest: `ledger.json`, `sources.json` and the summary.

In: the tally of the reading pass and counts of the writing pass.  Out: plain JSON
values that agree with one another and with the documents written.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmcore.data.documents import SPLITS
from lmcore.data.ingest.assignment import Assignment
from lmcore.data.ingest.near_copies import NearCopies
from lmcore.data.ingest.places import ClusterCounts, PlacedTexts
from lmcore.data.ingest.reading_counts import Tally
from lmcore.data.sources.located import LocatedSource, source_inputs

MAX_EXAMPLES = 100
_MAX_EXAMPLE_NAMES = 20


class Counts:
    """Counts while the documents are written.

    Attributes:
        documents: All of them.
        anchors: Those in the anchor slice.
        by_side: Documents and bytes of each side.
        by_source: Documents and bytes of each source.
        examples: Names in the first clusters of near-copies, by cluster.
    """

    def __init__(self, num_sources: int) -> None:
        self.documents = 0
        self.anchors = 0
        self.by_side: dict[str, list[int]] = {side: [0, 0] for side in SPLITS}
        self.by_source: list[list[int]] = [[0, 0] for _ in range(num_sources)]
        self.examples: dict[bytes, list[str]] = {}

    @property
    def num_bytes(self) -> int:
        """Bytes of all documents."""
        return sum(num_bytes for _, num_bytes in self.by_side.values())

    def add(self, some: PlacedTexts) -> None:
        """Count documents of one source."""
        sizes = some.texts["num_bytes"].to_numpy()
        self.documents += len(sizes)
        self.anchors += int(some.in_anchor.sum())
        by_source = self.by_source[some.source]
        by_source[0] += len(sizes)
        by_source[1] += int(sizes.sum())
        for code, side in enumerate(SPLITS):
            on_side = some.sides == code
            self.by_side[side][0] += int(on_side.sum())
            self.by_side[side][1] += int(sizes[on_side].sum())
        for place in np.flatnonzero(some.shared).tolist():
            cluster = some.clusters[place].tobytes()
            if cluster in self.examples or len(self.examples) < MAX_EXAMPLES:
                names = self.examples.setdefault(cluster, [])
                if len(names) < _MAX_EXAMPLE_NAMES:
                    names.append(some.names[place].as_py())


def full_account(
    tally: Tally, count: Counts, clusters: ClusterCounts, assignment: Assignment
) -> dict[str, Any]:
    """What every rule did, from the first byte read to the side of each document."""
    account = tally.to_json()
    account["records"]["documents"] = count.documents
    account["bytes"]["documents"] = count.num_bytes
    account["near_duplicates"] = {
        "clusters": clusters.num_shared,
        "documents": clusters.documents_in_shared,
        "pairs": assignment.near_copies.pairs,
        "other_forms": assignment.other_forms,
        "templates": {
            "templates": assignment.near_copies.templates,
            "documents": assignment.near_copies.letters,
            "shared": round(assignment.near_copies.shared, 3),
        },
        "examples": sorted(count.examples.values()),
    }
    account["split"] = {
        "sides": {
            side: {
                "documents": documents,
                "bytes": num_bytes,
                "clusters": clusters.by_side.get(side, 0),
            }
            for side, (documents, num_bytes) in count.by_side.items()
        },
        "anchor_documents": count.anchors,
        "known_documents": assignment.known,
        "appointed_clusters": assignment.appointed,
        "excluded": {
            "near_copies_of_two_sides": assignment.bridging,
            "near_copies_of_validation": assignment.copies,
        },
    }
    return account


def write_sources(
    path: Path,
    sources: Sequence[LocatedSource],
    *,
    licenses: Sequence[str],
    units: Sequence[str],
    count: Counts,
) -> None:
    """Write licence, origin, settings, documents, bytes and files with hashes of each source."""
    facts = zip(sources, licenses, units, count.by_source, strict=True)
    with path.open("w", encoding="utf-8") as stream:
        stream.write('{"sources": [')
        for number, (source, license_, unit, (documents, num_bytes)) in enumerate(facts):
            told = {
                "license": license_,
                "origin": source.config.told_origin,
                "settings": source_inputs(source),
                "unit": unit,
                "documents": documents,
                "bytes": num_bytes,
            }
            stream.write("," * (number > 0) + "\n" + _compact(told)[:-1] + ', "files": [')
            # One by one: all together would be larger than all else in memory.
            for place, file in enumerate((*source.files, *source.targets)):
                entry = {
                    "name": file.name,
                    "bytes": file.num_bytes,
                    "sha256": file.sha256,
                    "problem": file.problem,
                }
                stream.write("," * (place > 0) + "\n " + _compact(entry))
            stream.write("]}")
        stream.write("]}\n")


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def summarise(
    tally: Tally,
    count: Counts,
    clusters: ClusterCounts,
    *,
    near_copies: NearCopies,
    licenses: Sequence[str],
    units: Sequence[str],
) -> dict[str, Any]:
    """The small facts that go into the manifest."""
    by_license: Counter[str] = Counter()
    for license_, (_, num_bytes) in zip(licenses, count.by_source, strict=True):
        by_license[license_] += num_bytes
    return {
        "documents": count.documents,
        "bytes": count.num_bytes,
        **{f"{side}_documents": count.by_side[side][0] for side in SPLITS},
        **{f"{side}_bytes": count.by_side[side][1] for side in SPLITS},
        "anchor_documents": count.anchors,
        "exact_duplicates": tally.duplicates,
        "near_duplicate_clusters": clusters.num_shared,
        "template_documents": near_copies.letters,
        "template_share": round(near_copies.shared, 3),
        "quarantined": tally.quarantined,
        "removed_documents": tally.dropped("removed"),
        "masked": tally.replacements,
        "licenses": dict(sorted(by_license.items())),
        "unit": "+".join(sorted(set(units))),
    }
