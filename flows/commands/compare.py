"""`lmcore compare`: two versions, paired on the documents that both of them held out.

The stored per-document scores are used: a document's id is the hash of its text, so equal ids are
equal text, and a score depends on the weights and the text alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from lmcore.counted import counted
from lmcore.errors import UserError

if TYPE_CHECKING:
    from flows.registry.versions import Version
    from lmcore.evaluation.statistics.intervals import Interval
    from lmcore.version_folder import VersionFolder


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Both versions on the documents that they share.

    Attributes:
        documents: How many.
        sides: How good each of them is.
        difference: The first minus the second, paired.
    """

    documents: int
    sides: tuple[Interval, Interval]
    difference: Interval


@command(
    "lmcore compare champion previous",
    "lmcore compare 3 4 --model annual-messages",
    makes_home=False,
)
@options.version_argument("first")
@options.version_argument("second")
@options.model
def compare(first: str, second: str, model: str | None) -> Answer:
    """Compare two versions, paired on the same held-out documents.

    The difference is FIRST minus SECOND.
    """
    from flows.commands.shared.models import settled
    from lmcore.tasks.task import task_named

    registry, name = settled(model)
    versions = [registry.version(name, which) for which in (first, second)]
    folders = [registry.read(version) for version in versions]
    task, (one, two) = task_named(versions[0].task), (version.number for version in versions)
    unit = task.deciding.unit if task.is_language_model else task.each
    if task.is_language_model:
        pair, measure = _by_bits_per_byte(versions, folders), "bits_per_byte"
        better, worse = pair.difference.upper < 0, pair.difference.lower > 0
    else:
        pair, measure = _by_quality(versions, folders), "quality"
        better, worse = pair.difference.lower > 0, pair.difference.upper < 0
    sentence = f"No difference between versions {one} and {two} is certain."
    if better:
        sentence = f"Version {one} is better than version {two}."
    elif worse:
        sentence = f"Version {two} is better than version {one}."
    values = {
        "model": name,
        "sentence": sentence,
        "documents": pair.documents,
        "first": {"version": one, measure: pair.sides[0].as_metric(unit)},
        "second": {"version": two, measure: pair.sides[1].as_metric(unit)},
        "difference": pair.difference.as_metric(unit),
    }
    return Answer(values=values, text=_text)


def _by_bits_per_byte(versions: Sequence[Version], folders: Sequence[VersionFolder]) -> _Pair:
    from lmcore.evaluation.scores.table import ScoreTable

    tables = [
        ScoreTable.from_parquet(folder.evaluation / "scores-validation.parquet")
        for folder in folders
    ]
    shared = frozenset(_shared(versions, *(map(str, table.id) for table in tables)))
    left, right = (table.select(table.isin(shared)) for table in tables)
    return _Pair(
        documents=len(shared),
        sides=(left.bits_per_byte(), right.bits_per_byte()),
        difference=left.paired_difference(right),
    )


def _by_quality(versions: Sequence[Version], folders: Sequence[VersionFolder]) -> _Pair:
    import numpy as np
    import pyarrow.parquet as pq

    from lmcore.evaluation.statistics.intervals import ratio_interval

    tables = [pq.read_table(folder.evaluation / "predictions.parquet") for folder in folders]
    left, right = ({row["id"]: row for row in table.to_pylist()} for table in tables)
    shared = _shared(versions, left, right)
    ways = [(table.schema.metadata or {}).get(b"quality", b"").decode() for table in tables]
    outputs = [side[i].get("output") or "" for side in (left, right) for i in shared]
    _measured_in_one_way(versions, ways, outputs)
    cluster = np.array([left[i]["cluster"] for i in shared], dtype=object)
    first, second = (np.array([side[i]["quality"] for i in shared]) for side in (left, right))
    ones = np.ones(len(shared))
    return _Pair(
        documents=len(shared),
        sides=(ratio_interval(first, ones, cluster), ratio_interval(second, ones, cluster)),
        difference=ratio_interval(first - second, ones, cluster),
    )


def _measured_in_one_way(
    versions: Sequence[Version], ways: Sequence[str], outputs: Sequence[str]
) -> None:
    """Two stored figures are the same measure, or they are not compared.

    Versions of the last release do not say how they were measured: their chrF is that of today, and
    so is their ROUGE of text in ASCII.

    Raises:
        UserError: If they are not.
    """
    if ways[0] == ways[1]:
        return
    if not all(ways) and (versions[0].task != "summarization" or all(map(str.isascii, outputs))):
        return
    first, second = (
        f"version {version.number} by {way or 'ROUGE of ASCII letters'}"
        for version, way in zip(versions, ways, strict=True)
    )
    raise UserError(
        f"{versions[0].model}: {first} and {second} were measured in two ways, so their stored"
        " figures cannot be compared; run the pipeline with --force, which measures champion and"
        " new version in one way"
    )


def _shared(versions: Sequence[Version], left: Iterable[str], right: Iterable[str]) -> list[str]:
    """Documents that both versions held out.

    Raises:
        UserError: If they are fewer than two.
    """
    shared = sorted(set(left) & set(right))
    if len(shared) < 2:
        one, two = versions
        raise UserError(
            f"versions {one.number} and {two.number} of {one.model} held out"
            f" {counted(len(shared), 'document')} in common; at least 2 are needed to compare them"
        )
    return shared


def _text(answer: Values) -> None:
    text.line(answer["sentence"])
    for side in (answer["first"], answer["second"]):
        value = side.get("bits_per_byte") or side["quality"]
        text.line(f"  version {side['version']:<4} {text.interval(value)}")
    difference, documents = text.interval(answer["difference"]), answer["documents"]
    text.line(f"  difference   {difference} over {counted(documents, 'document')}")
