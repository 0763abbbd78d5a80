"""Is what a model is asked like what it learnt, is it right in use, and would another be better?

In come lines of what was kept of requests; out come the same answers as for documents: DRIFTED,
STABLE or INCONCLUSIVE, from one-sided 95 % bounds.

* Text of requests is short, and short text costs more bits per byte, as there is little before it
  to go by.  So it is compared with beginnings of held-out documents that are cut to the same
  lengths, and the end of a text is not counted on either side.
* Feedback of a classifier tells how often it is right in use; that is compared with its accuracy on
  its held-out documents.  Who says nothing is not counted, so it is a share of those who spoke.
* A version that only reads along is compared with the one that answers on the same requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lmcore.data.requests.lines import Asked, Beside, Feedback
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.evaluation.drift.config import MonitorConfig
from lmcore.evaluation.drift.drift import (
    Drift,
    DriftOutcome,
    Words,
    compare_samples,
    judge_compared,
)
from lmcore.evaluation.scores.scoring import score_tokens
from lmcore.evaluation.scores.table import NATS_PER_BIT
from lmcore.evaluation.statistics.intervals import Interval, Sample, interval
from lmcore.evaluation.statistics.rates import clustered_rate, rate_difference
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.model.language_model import LanguageModel

REQUESTS = Words(
    one="request",
    many="requests",
    text="what is asked",
    reference="beginnings of its held-out documents of the same lengths",
    none="Nothing that was asked is kept",
    once="repeats",
)


@dataclass(frozen=True, kw_only=True)
class RightInUse:
    """How often a task is right for those who say so.

    Attributes:
        outcome: DRIFTED, STABLE or INCONCLUSIVE.
        reason: One sentence for people.
        in_use: Share of right answers; None where nobody said anything.
        held_out: Accuracy on the version's held-out documents; None for a task that writes.
        difference: In use minus held-out.
        limit: By how much it may be right less often.
    """

    outcome: DriftOutcome
    reason: str
    in_use: Interval | None
    held_out: Interval | None
    difference: Interval | None
    limit: float

    def to_json(self) -> dict[str, Any]:
        """As `lmcore monitor --json` prints it."""
        return asdict(self)


def drift_of_requests(
    model: LanguageModel,
    tokenizer: Tokenizer,
    asked: Iterable[Asked],
    held_out: Sequence[str],
    *,
    limits: MonitorConfig,
    seed: int = 0,
) -> Drift:
    """Compare what a model is asked with what it was held against.

    Args:
        model: The champion, in evaluation mode.
        tokenizer: Its own.
        asked: What was kept, oldest first; each text counts once.
        held_out: Texts of its validation documents.
        limits: What is tolerated, and how much is scored.
        seed: Of the bootstrap.
    """
    texts = _newest(asked, max_bytes=limits.max_request_bytes)
    compared = None
    if len(texts) >= 2 and len(held_out) >= 2:
        cut = beginnings(held_out, [len(text.encode()) for text in texts])
        compared = compare_samples(
            _scored(model, tokenizer, texts, range(len(texts))),
            _scored(model, tokenizer, [text for _, text in cut], [place for place, _ in cut]),
            resampling=Resampling(seed=seed, resamples=limits.resamples),
        )
    return judge_compared(compared, count=len(texts), limits=limits, words=REQUESTS)


def beginnings(texts: Sequence[str], sizes: Sequence[int]) -> list[tuple[int, str]]:
    """Beginnings of texts that have given sizes, in bytes; each text in its turn.

    A text that is shorter stands whole for a size.  Returns places and beginnings.
    """
    found = []
    for i, size in enumerate(sizes):
        place = i % len(texts)
        # A character is not cut in two.
        found.append((place, texts[place].encode()[:size].decode("utf-8", "ignore")))
    return [(place, text) for place, text in found if text]


def right_in_use(
    feedback: Iterable[Feedback], accuracy: Interval | None, *, limits: MonitorConfig
) -> RightInUse:
    """Compare how often answers are right in use with the accuracy on held-out documents.

    Args:
        feedback: What people said, oldest first; of each text the last word counts.
        accuracy: Of the version; None: the task writes, so there is no bar.
        limits: What is tolerated, and how much must be said.
    """
    said = {line.text: line.right for line in feedback if line.right is not None}
    count, limit = len(said), limits.max_accuracy_drop
    in_use = difference = None
    if count >= 2:
        in_use = clustered_rate(list(said.values()), np.arange(count))
    if in_use is not None and accuracy is not None:
        difference = rate_difference(in_use, accuracy)
    outcome: DriftOutcome = "INCONCLUSIVE"
    if in_use is None or count < limits.min_feedback:
        reason = (
            f"{count:,} answers were called right or wrong, too few to tell; at least"
            f" {limits.min_feedback} are needed."
        )
    elif difference is None:
        reason = f"{_share(in_use)} of {count:,} answers were called right; there is no bar for it."
    else:
        assert accuracy is not None
        if difference.upper < -limit:
            outcome, says = "DRIFTED", "it is right less often than it was held to be"
        elif difference.lower >= -limit:
            outcome, says = "STABLE", "it is right as often as it was held to be"
        else:
            says = "more answers would decide"
        reason = (
            f"{_share(in_use)} of {count:,} answers were called right, and {_share(accuracy)} of"
            f" its held-out documents (difference between {difference.lower:+.1%} and"
            f" {difference.upper:+.1%}; {limit:.1%} less is tolerated): {says}."
        )
    return RightInUse(
        outcome=outcome,
        reason=reason,
        in_use=in_use,
        held_out=accuracy,
        difference=difference,
        limit=limit,
    )


@dataclass(frozen=True, kw_only=True)
class ReadAlong:
    """A version that read what another one was asked.

    Attributes:
        version: That answered.
        shadow: That read along.
        requests: How many.
        bits_per_byte: Of the shadow minus those of the other, paired; None for a task.
        same: Share of outputs that were the same; None for a language model.
        right: Share of right outputs of the shadow minus those of the other, where feedback named
            the right one; None for others, or without any.
    """

    version: int
    shadow: int
    requests: int
    bits_per_byte: Interval | None = None
    same: Interval | None = None
    right: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """As `lmcore show --json` prints it."""
        return asdict(self)


def read_along(
    lines: Iterable[Beside],
    *,
    shadow: int,
    truths: Mapping[tuple[str, int], str] | None = None,
    seed: int = 0,
) -> list[ReadAlong]:
    """What a version would have done beside each one that answered, newest first.

    Args:
        lines: Requests as two versions read them.
        shadow: The version that read along.
        truths: Right outputs by answer and index, where somebody said so.
        seed: Of the bootstrap.
    """
    by_version: dict[int, dict[tuple[str, int], Beside]] = {}
    for line in lines:
        if line.shadow == shadow:
            by_version.setdefault(line.version, {})[line.id, line.index] = line
    return [
        _beside(version, shadow, list(found.values()), truths or {}, Resampling(seed=seed))
        for version, found in sorted(by_version.items(), reverse=True)
    ]


def _beside(
    version: int,
    shadow: int,
    lines: Sequence[Beside],
    truths: Mapping[tuple[str, int], str],
    resampling: Resampling,
) -> ReadAlong:
    # Answers of one request are no independent evidence.
    def bounded(values: Sequence[tuple[float, float, str]]) -> Interval | None:
        if len({cluster for _, _, cluster in values}) < 2:
            return None
        top, bottom, cluster = zip(*values, strict=True)
        return interval(Sample.ratio(top, bottom, cluster), resampling=resampling)

    bits = [
        (line.bits[1] - line.bits[0], float(line.num_bytes), line.id)
        for line in lines
        if line.bits is not None
    ]
    same = [(float(line.same), 1.0, line.id) for line in lines if line.same is not None]
    right = [
        (float(line.outputs[1] == truth) - float(line.outputs[0] == truth), 1.0, line.id)
        for line in lines
        if line.outputs is not None and (truth := truths.get((line.id, line.index))) is not None
    ]
    return ReadAlong(
        version=version,
        shadow=shadow,
        requests=len(lines),
        bits_per_byte=bounded(bits),
        same=bounded(same),
        right=bounded(right),
    )


def _newest(asked: Iterable[Asked], *, max_bytes: int) -> list[str]:
    """The newest texts, each once, up to a number of bytes."""
    once = {line.text: None for line in asked if line.text}
    found: list[str] = []
    total = 0
    for text in reversed(once):
        total += len(text.encode())
        if found and total > max_bytes:
            break
        found.append(text)
    return found


def _scored(
    model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str], clusters: Iterable[int]
) -> Sample:
    """Bits and bytes of texts, without their ends."""
    tokens = [np.asarray(ids, dtype=np.int64) for ids in tokenizer.encode_batch(texts)]
    counted = [np.arange(len(ids) + 1) < len(ids) for ids in tokens]
    nats = score_tokens(model, tokens, counted=counted)
    sizes = [len(text.encode()) for text in texts]
    return Sample.ratio(nats / NATS_PER_BIT, sizes, list(clusters))


def _share(share: Interval) -> str:
    return f"{share.value:.1%}"
