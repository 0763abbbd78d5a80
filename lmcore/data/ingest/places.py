"""Where staged texts ended up, once sides are decided: tables of the index of the work folder.

In: the index with tables `current` and `side` (`lmcore.data.ingest.assignment`).  Out: the side and
the cluster of each text, and counts of clusters.  A cluster has the name of its smallest anchor.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lmcore.data.ingest.split import ID_BYTES


class Placed(NamedTuple):
    """Where a staged text ended up.

    Attributes:
        stage: Place of the staged text.
        id: Its id.
        cluster: Id of its (smallest) anchor.
        side: Its side.
        shared: Whether other texts of this corpus are in the same cluster.
    """

    stage: int
    id: bytes
    cluster: bytes
    side: str
    shared: bool


@dataclass(frozen=True, kw_only=True)
class ClusterCounts:
    """Clusters in this corpus.

    Attributes:
        num_shared: Clusters of two documents or more.
        documents_in_shared: Documents in them.
        by_side: Clusters on each side.
    """

    num_shared: int
    documents_in_shared: int
    by_side: dict[str, int]


def find_shared(work: sqlite3.Connection) -> None:
    """Note the clusters of several texts: few, where the others are as many as texts."""
    work.execute(
        "CREATE TEMP TABLE shared_cluster AS"
        " SELECT substr(anchors, 1, ?) AS cluster, count(*) AS size"
        " FROM current GROUP BY 1 HAVING count(*) > 1",
        (ID_BYTES,),
    )
    work.execute("CREATE UNIQUE INDEX temp.shared_cluster_id ON shared_cluster (cluster)")


def decided(work: sqlite3.Connection) -> Iterator[Placed]:
    """Stream where each text ended up, in the order of the staged texts."""
    rows = work.execute(
        "SELECT c.stage, c.id, substr(c.anchors, 1, ?1), s.side, t.size IS NOT NULL"
        " FROM current c JOIN side s USING (row) LEFT JOIN shared_cluster t"
        " ON t.cluster = substr(c.anchors, 1, ?1) ORDER BY c.row",
        (ID_BYTES,),
    )
    yield from map(Placed._make, rows)


def cluster_counts(work: sqlite3.Connection) -> ClusterCounts:
    """Count clusters."""
    shared = work.execute("SELECT count(*), total(size) FROM shared_cluster").fetchone()
    return ClusterCounts(
        num_shared=shared[0],
        documents_in_shared=int(shared[1]),
        by_side=clusters_by_side(work),
    )


def clusters_by_side(work: sqlite3.Connection) -> dict[str, int]:
    """Clusters on each side, once sides are decided.

    Args:
        work: Index of the texts.
    """
    # Of those that have one text no two are the same.
    return dict(
        work.execute(
            "SELECT s.side, sum(t.cluster IS NULL) + count(DISTINCT t.cluster)"
            " FROM current c JOIN side s USING (row) LEFT JOIN shared_cluster t"
            " ON t.cluster = substr(c.anchors, 1, ?) GROUP BY s.side",
            (ID_BYTES,),
        )
    )
