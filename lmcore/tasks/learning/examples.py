"""Examples of a task as token ids, and the order in which training reads them.

In: documents with targets, and a tokenizer.  Out: for each document its source tokens, cut to the
limit, and its target: tokens, or a class.  The order of batches is a pure function of (seed, epoch,
step, fingerprint): documents are permuted, gathered by length within pools so that little is
padded, and the batches are permuted again.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lmcore.data.documents import Document
from lmcore.data.tokens.batches import Batch
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.model.language_model import Reading

Ids = npt.NDArray[np.int32]
IntArray = npt.NDArray[np.int64]

# Batches whose documents are sorted by length together.
_POOL_BATCHES = 32
_ENCODED_TOGETHER = 1_024


@dataclass(frozen=True, kw_only=True)
class Example:
    """One document of a task.

    Attributes:
        source: Tokens of the text, cut to the limit.
        target: Tokens of the translation or summary, cut to the limit; none for a label.
        truncated: Whether the source was cut.
        target_truncated: Whether the target was cut.
    """

    source: Ids
    target: Ids
    truncated: bool
    target_truncated: bool

    @property
    def num_tokens(self) -> int:
        """Tokens that a model reads of it."""
        return len(self.source) + len(self.target) + 2


def encode(
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    *,
    max_source: int,
    max_target: int | None,
) -> list[Example]:
    """Cut documents into tokens.

    Args:
        documents: In stored order.
        tokenizer: Of the model.
        max_source: Most tokens of a source.
        max_target: Most tokens of a target; None: the target is a label.
    """
    found = []
    for chunk in _chunks(documents):
        sources = tokenizer.encode_batch([document.text for document in chunk])
        targets: Sequence[Sequence[int]] = [()] * len(chunk)
        if max_target is not None:
            targets = tokenizer.encode_batch([(d.target or "").strip() for d in chunk])
        for source, target in zip(sources, targets, strict=True):
            found.append(
                Example(
                    source=np.array(source[:max_source], dtype=np.int32),
                    target=np.array(target[:max_target], dtype=np.int32),
                    truncated=len(source) > max_source,
                    target_truncated=max_target is not None and len(target) > max_target,
                )
            )
    return found


def _chunks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    rest = iter(documents)
    while chunk := list(itertools.islice(rest, _ENCODED_TOGETHER)):
        yield chunk


class ExampleOrder:
    """Maps a step to the examples that it reads.

    Args:
        lengths: Tokens of each example.
        batch_size: Examples of a step, at most as many as there are.
        seed: Of the run.
        fingerprint: Of the data.
        tokens_at_once: Whose gradient is found at once, padding included; 0: those of a step.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        batch_size: int,
        seed: int,
        fingerprint: str,
        tokens_at_once: int = 0,
    ) -> None:
        self._tokens_at_once = tokens_at_once
        self._lengths = np.asarray(lengths, dtype=np.int64)
        self.batch_size = min(batch_size, len(self._lengths))
        self._seed, self._fingerprint = seed, fingerprint
        self._epoch = -1
        self._batches: list[IntArray] = []

    @property
    def steps_per_epoch(self) -> int:
        """Steps that read every example once; the last one may read fewer."""
        return -(-len(self._lengths) // self.batch_size)

    def members(self, step: int) -> IntArray:
        """Examples of a step, counted from 0 over all epochs."""
        epoch, inside = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._batches, self._epoch = self._cut(epoch), epoch
        return self._batches[inside]

    def in_parts(self, batch: Batch) -> Batch:
        """The batch of a step, as it goes through the model."""
        if not self._tokens_at_once:
            return batch
        lanes = max(1, self._tokens_at_once // batch.inputs.shape[1])
        return replace(batch, lanes_at_once=lanes)

    def _cut(self, epoch: int) -> list[IntArray]:
        text = f"examples/{self._seed}/{epoch}/{self._fingerprint}"
        key = hashlib.blake2b(text.encode(), digest_size=16).digest()
        rng = np.random.default_rng(int.from_bytes(key, "big"))
        order = rng.permutation(len(self._lengths))
        pool = _POOL_BATCHES * self.batch_size
        batches: list[IntArray] = []
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            part = part[np.argsort(self._lengths[part], kind="stable")]
            batches += [part[i : i + self.batch_size] for i in range(0, len(part), self.batch_size)]
        return [batches[place] for place in rng.permutation(len(batches))]


def padded(rows: Sequence[npt.NDArray[np.integer]], *, end_id: int) -> IntArray:
    """Rows of token ids as one array [B, T]; what is missing is token 0, or 1 where 0 is the end.

    Args:
        rows: Ids of each lane.
        end_id: The end token: as padding it would start documents.
    """
    width = max(1, *(len(row) for row in rows))
    result = np.full((len(rows), width), int(end_id == 0), dtype=np.int64)
    for lane, row in enumerate(rows):
        result[lane, : len(row)] = row
    return result


def by_length(
    lengths: Sequence[int], *, together: int, most_tokens: int | None = None
) -> Iterator[list[int]]:
    """All places, gathered by length.

    Args:
        lengths: Tokens of each.
        together: Most places in a group.
        most_tokens: Most tokens in a group of several, padding included; None: no limit.
    """
    group: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        wide = most_tokens is not None and (len(group) + 1) * lengths[place] > most_tokens
        if group and (len(group) == together or wide):
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def side_by_side(lengths: Sequence[int], reading: Reading) -> Iterator[list[int]]:
    """All places, gathered as suits a model that reads each text as a whole.

    Args:
        lengths: Tokens of each.
        reading: How the model is best fed.
    """
    if not reading.tokens_at_once:
        return by_length(lengths, together=reading.lanes)
    return by_length(lengths, together=len(lengths) or 1, most_tokens=reading.tokens_at_once)


def notes_on_lengths(lengths: Mapping[str, Sequence[int]], *, unit: str) -> dict[str, str]:
    """Median, 95 % quantile and maximum of lengths by split."""
    found = {}
    for name, values in lengths.items():
        if len(values):
            half, most, top = np.quantile(np.asarray(values), [0.5, 0.95, 1.0])
            found[name] = f"median {half:.0f}, 95 % up to {most:.0f}, longest {top:.0f} {unit}"
    return found
