"""The per-document table that feeds every gate.

One row a document: who it is, how long it is, and the log-likelihood that a model gave
it.  Everything that a gate or a report says about quality is a sum over rows of this
table, so it can be recomputed from the stored Parquet file alone.  The file's integrity
is the manifest of the folder that holds it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from lmcore.counted import counted
from lmcore.digests import digest
from lmcore.errors import EmptyEvaluationError, IntegrityError
from lmcore.evaluation.statistics.intervals import Interval, ratio_interval
from lmcore.evaluation.statistics.measured import AlignmentError, rows_of
from lmcore.evaluation.statistics.resampling import STANDARD, Resampling

StrArray = NDArray[np.object_]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

NATS_PER_BIT = math.log(2)
_DTYPES: dict[str, Any] = {
    "id": object,
    "cluster": object,
    "name": object,
    "split": object,
    "source": np.int64,
    "license": object,
    "num_bytes": np.int64,
    "num_tokens": np.int64,
    "nll_nats": np.float64,
    "anchor": np.bool_,
}


class DocumentFacts(Protocol):
    """What a table keeps of a document; `lmcore.data.documents.Document` has it all."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def cluster(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def split(self) -> str: ...  # noqa: D102
    @property
    def source(self) -> int: ...  # noqa: D102
    @property
    def license(self) -> str: ...  # noqa: D102
    @property
    def num_bytes(self) -> int: ...  # noqa: D102
    @property
    def anchor(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreTable:
    """Scores of one model on N documents; every column has shape [N].

    Attributes:
        id: Document, unique in the table.
        cluster: Near-copies share one; the unit of every interval.
        name: For people.
        split: train, tune or validation.
        source: Index into the configured sources.
        license: SPDX expression.
        num_bytes: UTF-8 bytes of the text.
        num_tokens: Targets that were scored: the text's tokens and the end token.
        nll_nats: Negative log-likelihood of the document, end token included.
        anchor: Part of the frozen slice of validation.
    """

    id: StrArray
    cluster: StrArray
    name: StrArray
    split: StrArray
    source: IntArray
    license: StrArray
    num_bytes: IntArray
    num_tokens: IntArray
    nll_nats: FloatArray
    anchor: BoolArray

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=dtype))
        lengths = {field.name: getattr(self, field.name).shape for field in fields(self)}
        assert set(lengths.values()) == {(len(self.id),)}, lengths
        if len(set(self.id)) != len(self.id):
            ids, counts = np.unique(self.id, return_counts=True)
            raise AlignmentError(
                f"document {_short(ids[counts > 1][0])} is scored twice in one table;"
                " every document may appear once"
            )

    @classmethod
    def of(
        cls, documents: Sequence[DocumentFacts], *, num_tokens: ArrayLike, nll_nats: ArrayLike
    ) -> Self:
        """Put documents and what a model said of them into a table.

        Args:
            documents: N documents.
            num_tokens: Scored targets of each, shape [N].
            nll_nats: Negative log-likelihood of each, shape [N], nats.

        Raises:
            AlignmentError: If a document is there twice.
        """
        facts = {
            name: [getattr(document, name) for document in documents]
            for name in _DTYPES
            if name not in ("num_tokens", "nll_nats")
        }
        return cls(**facts, num_tokens=num_tokens, nll_nats=nll_nats)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.id)

    def total_bits_per_byte(self) -> float:
        """Sum of nats over ln 2 and the sum of bytes, without an interval.

        Raises:
            EmptyEvaluationError: Without bytes, or if the sum is not finite.
        """
        value = _divide(self.nll_nats.sum() / NATS_PER_BIT, self.num_bytes.sum())
        if not math.isfinite(value):
            raise EmptyEvaluationError(
                f"bits per byte of {counted(len(self), 'document')} is {value}; a score needs text"
                " and finite log-likelihoods"
            )
        return value

    def bits_per_byte(self, *, resampling: Resampling = STANDARD) -> Interval:
        """Bits per byte with its interval by cluster; lower is better.

        Raises:
            EmptyEvaluationError: With fewer than two clusters, or a score that is not finite.
        Source: The Pile, arXiv:2101.00027, section 3.1.
        """
        return ratio_interval(
            self.nll_nats / NATS_PER_BIT,
            self.num_bytes,
            self.cluster,
            resampling=resampling,
        )

    def nats_per_token(self, *, resampling: Resampling = STANDARD) -> Interval:
        """Mean loss of a token, end tokens included, with its interval by cluster.

        Raises:
            EmptyEvaluationError: With fewer than two clusters, or a score that is not finite.
        """
        return ratio_interval(self.nll_nats, self.num_tokens, self.cluster, resampling=resampling)

    def select(self, mask: ArrayLike) -> Self:
        """The rows where `mask` (shape [N]) is true."""
        keep = np.asarray(mask, dtype=np.bool_)
        assert keep.shape == self.id.shape, keep.shape
        return type(self)(**{field.name: getattr(self, field.name)[keep] for field in fields(self)})

    def isin(self, ids: AbstractSet[str]) -> BoolArray:
        """Which rows' documents are in `ids`, shape [N]."""
        return np.fromiter((i in ids for i in self.id), dtype=np.bool_, count=len(self))

    def aligned(self, other: ScoreTable) -> ScoreTable:
        """`other`'s rows in the order of this table.

        Raises:
            AlignmentError: If the two do not hold the same documents with the same bytes.
        """
        rows = rows_of(self.id, other.id)
        result = type(other)(
            **{field.name: getattr(other, field.name)[rows] for field in fields(other)}
        )
        if (differ := np.flatnonzero(result.num_bytes != self.num_bytes)).size:
            row = differ[0]
            raise AlignmentError(
                f"document {_short(self.id[row])} has {self.num_bytes[row]} bytes in one table and"
                f" {result.num_bytes[row]} in the other; the evaluation set changed"
            )
        return result

    def paired_difference(
        self, other: ScoreTable, *, resampling: Resampling = STANDARD
    ) -> Interval:
        """Bits per byte of this model minus the other's on the same documents.

        Pairing removes what makes documents easy or hard, which is most of the spread.

        Raises:
            AlignmentError: If the two do not score the same documents.
            EmptyEvaluationError: With fewer than two clusters, or a score that is not finite.
        """
        return ratio_interval(
            (self.nll_nats - self.aligned(other).nll_nats) / NATS_PER_BIT,
            self.num_bytes,
            self.cluster,
            resampling=resampling,
        )

    def documents_hash(self) -> str:
        """Digest of the documents that are scored, whatever their order and scores."""
        return digest(
            sorted([str(i), int(n)] for i, n in zip(self.id, self.num_bytes, strict=True))
        )

    def to_parquet(self, path: Path) -> None:
        """Write the table; call inside a folder that gets a manifest."""
        columns = {name: pa.array(getattr(self, name).tolist(), _ARROW[name]) for name in _DTYPES}
        pq.write_table(pa.table(columns), path, compression="zstd")

    @classmethod
    def from_parquet(cls, path: Path) -> Self:
        """Read a table.

        Raises:
            IntegrityError: If the file is not such a table.
        """
        try:
            # `read_table` imports pandas.
            with pq.ParquetFile(path) as file:
                table = file.read(columns=list(_DTYPES))
            columns = {
                name: table.column(name).cast(kind).to_pylist() for name, kind in _ARROW.items()
            }
        except (OSError, KeyError, pa.ArrowException) as error:
            raise IntegrityError(f"{path}: not a table of scores ({error})") from error
        return cls(**columns)

    @classmethod
    def joined(cls, tables: Sequence[ScoreTable]) -> Self:
        """Rows of all tables, one after the other."""
        return cls(
            **{
                name: np.concatenate([getattr(table, name) for table in tables] or [[]])
                for name in _DTYPES
            }
        )


_ARROW: dict[str, pa.DataType] = {
    name: {object: pa.string(), np.int64: pa.int64(), np.float64: pa.float64()}.get(
        dtype, pa.bool_()
    )
    for name, dtype in _DTYPES.items()
}


def _divide(top: float, bottom: int) -> float:
    return float(top) / int(bottom) if bottom else math.nan


def _short(identity: str) -> str:
    return str(identity)[:12]
