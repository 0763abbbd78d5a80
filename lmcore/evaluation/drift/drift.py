"""Has the text moved away from what the champion learnt?  Statistics over tables, and no files.

In come the champion's scores of fresh documents and its own validation scores (the reference);
out comes a `Drift`: DRIFTED, STABLE or INCONCLUSIVE, from one-sided 95 % bounds of the difference
in bits per byte.  The two are different documents, so both samples are resampled by cluster; where
they are the same documents (the reference, scored again), the difference is paired.

How words and lengths have changed (`lmcore.evaluation.drift.text_shift`) is reported beside it and
never judged: it says why, not whether.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lmcore.evaluation.drift.config import MonitorConfig
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.intervals import (
    Interval,
    Sample,
    independent_difference,
    interval,
)
from lmcore.evaluation.statistics.resampling import STANDARD, Resampling

DriftOutcome = Literal["DRIFTED", "STABLE", "INCONCLUSIVE"]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One ratio on fresh documents and on the reference.

    Attributes:
        fresh: On the fresh documents.
        reference: On the champion's own held-out documents.
        difference: Fresh minus reference.
    """

    fresh: Interval
    reference: Interval
    difference: Interval

    def to_json(self) -> dict[str, Any]:
        """As `lmcore monitor --json` prints it."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The answer.

    Attributes:
        outcome: DRIFTED, STABLE or INCONCLUSIVE.
        reason: One sentence for people.
        compared: Bits per byte; None where there are fewer than two fresh clusters.
        limit: Bits per byte more than on the reference that are tolerated.
        documents: Fresh clusters of near-copies.
        documents_needed: How many would decide, if they are like these; None where it is decided,
            or where no number would be enough.
    """

    outcome: DriftOutcome
    reason: str
    compared: Compared | None
    limit: float
    documents: int
    documents_needed: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As `lmcore monitor --json` prints it, where it stands alone."""
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "texts": self.documents,
            "needed": self.documents_needed,
            "bits_per_byte": None if self.compared is None else self.compared.to_json(),
            "limit": self.limit,
        }


@dataclass(frozen=True, kw_only=True)
class Words:
    """What text is compared with what, for people.

    Attributes:
        one: A piece of it.
        many: Several.
        text: All of it.
        reference: What it is compared with.
        none: Why there may be none.
        once: What counts once.
    """

    one: str
    many: str
    text: str
    reference: str
    none: str
    once: str

    def counted(self, count: int) -> str:
        """So many pieces."""
        return f"{count:,} {self.one if count == 1 else self.many}"

    def too_few(self, count: int, least: int) -> str:
        """That nothing can be said of so few."""
        if not count:
            return f"{self.none}; {least} are needed to tell."
        return (
            f"{self.counted(count)} {'is' if count == 1 else 'are'} too few to tell; at least"
            f" {least} are needed ({self.once} count once)."
        )


FRESH = Words(
    one="fresh document",
    many="fresh documents",
    text="fresh text",
    reference="its own held-out ones",
    none="No document has arrived since the champion's data",
    once="near-copies",
)


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """Documents of today's sources, by what the champion knows of them.

    Attributes:
        known: It has them in its data, on whichever side.
        copies: New to it, but near-copies of what it has; never counted as fresh.
        fresh: New to it: id to bytes.
        excluded: Near-copies of both sides, used by nothing.
    """

    known: int
    copies: int
    excluded: int
    fresh: Mapping[str, int]

    @property
    def fresh_bytes(self) -> int:
        """Bytes of all fresh documents."""
        return sum(self.fresh.values())


def find_arrivals(
    rows: Iterable[Mapping[str, Any]], *, ids: AbstractSet[str], clusters: AbstractSet[str]
) -> Arrivals:
    """Tell fresh documents from those that the champion knows.

    Args:
        rows: `id`, `cluster`, `split` and `num_bytes` of today's documents.
        ids: Documents of the champion's data.
        clusters: Their clusters.
    """
    known = copies = excluded = 0
    fresh: dict[str, int] = {}
    for row in rows:
        if row["id"] in ids:
            known += 1
        elif row["cluster"] in clusters:
            copies += 1
        elif row["split"] == "excluded":
            excluded += 1
        else:
            fresh[str(row["id"])] = int(row["num_bytes"])
    return Arrivals(known=known, copies=copies, excluded=excluded, fresh=fresh)


def judge_drift(
    fresh: ScoreTable, reference: ScoreTable, *, limits: MonitorConfig, seed: int = 0
) -> Drift:
    """Compare the champion's bits per byte on fresh documents with those on its reference.

    Args:
        fresh: Scores of documents that it has never met.
        reference: Its scores of its own validation documents.
        limits: What is tolerated, and how many documents are enough.
        seed: Of the bootstrap.

    Raises:
        EmptyEvaluationError: If a score is not finite, or the reference has fewer than two
            clusters.
    """
    count = len(set(fresh.cluster))
    compared = None
    if count >= 2:
        resampling = Resampling(seed=seed, resamples=limits.resamples)
        compared = compare_bits_per_byte(fresh, reference, resampling=resampling)
    return judge_compared(compared, count=count, limits=limits)


def judge_compared(
    compared: Compared | None, *, count: int, limits: MonitorConfig, words: Words = FRESH
) -> Drift:
    """The answer to a difference in bits per byte.

    Args:
        compared: Of fresh text and its reference; None: there is too little to compare.
        count: Independent pieces of fresh text.
        limits: What is tolerated, and how many are enough.
        words: For the sentence.
    """
    limit = limits.max_increase_bits_per_byte
    if compared is None or count < limits.min_documents:
        return Drift(
            outcome="INCONCLUSIVE",
            reason=words.too_few(count, limits.min_documents),
            compared=compared,
            limit=limit,
            documents=count,
            documents_needed=limits.min_documents,
        )
    difference = compared.difference
    if difference.lower > limit:
        outcome: DriftOutcome = "DRIFTED"
    elif difference.upper <= limit:
        outcome = "STABLE"
    else:
        outcome = "INCONCLUSIVE"
    needed = None
    if outcome == "INCONCLUSIVE":
        needed = documents_needed(compared, limit=limit)
    return Drift(
        outcome=outcome,
        reason=_sentence(outcome, compared, words, limit=limit, count=count, needed=needed),
        compared=compared,
        limit=limit,
        documents=count,
        documents_needed=needed,
    )


def compare_bits_per_byte(
    fresh: ScoreTable, reference: ScoreTable, *, resampling: Resampling = STANDARD
) -> Compared:
    """Bits per byte of both tables; paired where they score the same documents.

    Raises:
        EmptyEvaluationError: With fewer than two clusters in a table, or a score that is not
            finite.
    """
    if set(fresh.id) == set(reference.id):
        return Compared(
            fresh=fresh.bits_per_byte(resampling=resampling),
            reference=reference.bits_per_byte(resampling=resampling),
            difference=fresh.paired_difference(reference, resampling=resampling),
        )
    # It brings torch, which whoever finds nothing to compare need not wait for.
    from lmcore.evaluation.scores.scoring import measured_bits

    samples = (measured_bits(table).sample for table in (fresh, reference))
    return compare_samples(*samples, resampling=resampling)


def compare_tokens_per_byte(
    fresh: ScoreTable, reference: ScoreTable, *, resampling: Resampling = STANDARD
) -> Compared:
    """How finely the champion's tokenizer cuts both; unfamiliar text takes more tokens.

    Raises:
        EmptyEvaluationError: With fewer than two clusters in a table.
    """
    samples = (
        Sample.ratio(table.num_tokens, table.num_bytes, table.cluster)
        for table in (fresh, reference)
    )
    return compare_samples(*samples, resampling=resampling)


def compare_samples(
    fresh: Sample, reference: Sample, *, resampling: Resampling = STANDARD
) -> Compared:
    """A statistic over two independent samples of documents, and its difference."""
    return Compared(
        fresh=interval(fresh, resampling=resampling),
        reference=interval(reference, resampling=resampling),
        difference=independent_difference(fresh, reference, resampling=resampling),
    )


def documents_needed(compared: Compared, *, limit: float) -> int | None:
    """How many fresh documents like these would decide; None where the reference is too unsure.

    The half-width of an interval shrinks with the root of the number of documents, and the
    half-widths of the two samples add as squares; the sum must be less than the distance to the
    limit.
    """
    gap = abs(compared.difference.value - limit)
    fresh, reference = (
        (interval.upper - interval.lower) / 2 for interval in (compared.fresh, compared.reference)
    )
    room = gap**2 - reference**2
    if room <= 0:
        return None
    count = compared.fresh.n
    # Rounding must not ask for one more.
    return max(count + 1, math.ceil(count * fresh**2 / room - 1e-9))


def _sentence(
    outcome: DriftOutcome,
    compared: Compared,
    words: Words,
    *,
    limit: float,
    count: int,
    needed: int | None,
) -> str:
    difference = compared.difference
    change = f"{abs(difference.value):.4f} bits per byte"
    change += " more" if difference.value >= 0 else " fewer"
    sentence = (
        f"The champion needs {change} on {words.counted(count)} than on {words.reference} (95 %"
        f" bounds {difference.lower:+.4f} and {difference.upper:+.4f}; up to {limit:.4f} more are"
        " tolerated)"
    )
    if outcome == "DRIFTED":
        return f"{sentence}: the text has moved away from what it learnt."
    if outcome == "STABLE":
        return f"{sentence}: it reads {words.text} as well as before."
    more = (
        f"about {needed:,} {words.many} would decide"
        if needed is not None
        else f"no number of {words.many} would decide, as its reference is too unsure so near the"
        " limit"
    )
    return f"{sentence}: {more}."
