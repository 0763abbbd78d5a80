"""Does the model remember a canary that it read once?

In come the canaries of a shard set and the record of what was consumed; out come the losses of the
canaries that were really read, of their partners that were not, and of 9,999 references of the
same law.  Each is scored as a document of its own, as it stands in the training stream.

*Exposure* of a canary is log2 of the number of texts over its rank among them (Carlini et al.,
arXiv:1802.08232).  Where nothing is remembered all ranks are equally likely, so the number of
canaries in the top percent is binomial.

*Audit*: for each pair the text with the lower loss is guessed to be the one that was read.  If
training were eps-differentially private, each guess would be right with probability at most
e^eps / (1 + e^eps) whatever the others are, so the exact lower bound of the share of right guesses
gives one of eps: its log-odds (Steinke, Nasr and Jagielski, arXiv:2305.08846, theorem 1.1 with
delta = 0, for replacing one text by its partner).  64 of 64 right: 3.04; 48: 0.60; 40: 0.06.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmcore.data.tokens.canaries import CanaryPair, CanarySet, canary_id
from lmcore.data.tokens.token_stream import TokenStream
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.evaluation.memory.consumed_text import consumed_mask
from lmcore.evaluation.scores.scoring import score_tokens
from lmcore.evaluation.statistics.intervals import clopper_pearson
from lmcore.evaluation.statistics.resampling import CONFIDENCE
from lmcore.model.language_model import LanguageModel

NUM_REFERENCES = 9_999

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """What was measured; nats of whole texts, their end included.

    Attributes:
        planted: Pairs of which one text is in the training stream.
        inside: Losses of the texts that were consumed, shape [C].
        outside: Losses of their partners, shape [C].
        references: Losses of texts of the same law, shape [R].
        where: In which training they were read: `in_run`, the one that is judged.
    """

    planted: int
    inside: FloatArray
    outside: FloatArray
    references: FloatArray
    where: str = "in_run"

    @property
    def ranks(self) -> NDArray[np.int64]:
        """Place of each canary among itself and the references, 1 is the best remembered."""
        ordered = np.sort(self.references)
        return 1 + np.searchsorted(ordered, self.inside, side="right").astype(np.int64)

    @property
    def exposures(self) -> FloatArray:
        """Of each canary in bits, at most log2(R + 1)."""
        return np.asarray(np.log2((len(self.references) + 1) / self.ranks))

    @property
    def right_guesses(self) -> int:
        """Pairs whose consumed text has the lower loss; a tie is a coin and counts half."""
        lower = int((self.inside < self.outside).sum())
        return lower + int((self.inside == self.outside).sum()) // 2


def measure_exposure(
    model: LanguageModel,
    tokenizer: Tokenizer,
    canaries: CanarySet,
    *,
    stream: TokenStream,
    ranges: Sequence[tuple[int, int]],
    num_references: int = NUM_REFERENCES,
) -> Exposure:
    """Score the canaries that were read, their partners and the references.

    A canary was read where every token of one of its copies was predicted in training.

    Args:
        model: In evaluation mode.
        tokenizer: The one that it was trained with.
        canaries: As they were put into the stream.
        stream: The train tokens.
        ranges: Token ranges [start, stop) of the stream that were predicted.
        num_references: Texts to rank among.
    """
    pairs = consumed_pairs(canaries, stream=stream, ranges=ranges)
    texts = [
        *(pair.inside for pair in pairs),
        *(pair.outside for pair in pairs),
        *(canaries.references(num_references) if pairs else ()),
    ]
    tokens = [np.asarray(ids, dtype=np.int64) for ids in tokenizer.encode_batch(texts)]
    nats = score_tokens(model, tokens, lanes=model.reading.short)
    count = len(pairs)
    return Exposure(
        planted=len(canaries.pairs),
        inside=nats[:count],
        outside=nats[count : 2 * count],
        references=nats[2 * count :],
    )


def consumed_pairs(
    canaries: CanarySet, *, stream: TokenStream, ranges: Sequence[tuple[int, int]]
) -> list[CanaryPair]:
    """Pairs of which one text was read as a whole; see `measure_exposure`."""
    wanted = {canary_id(text).encode() for text in canaries.texts}
    ends = np.asarray(stream.doc_ends)
    read = set()
    for document in np.flatnonzero(np.isin(stream.doc_ids, list(wanted))).tolist():
        start = int(ends[document - 1]) if document else 0
        if consumed_mask(ranges, start, int(ends[document])).all():
            read.add(bytes(stream.doc_ids[document]))
    return [pair for pair in canaries.pairs if canary_id(pair.inside).encode() in read]


def epsilon_lower_bound(right: int, guesses: int, *, confidence: float = CONFIDENCE) -> float:
    """Lower bound of epsilon from guesses of coins, at least 0.

    Raises:
        EmptyEvaluationError: Without guesses.
    """
    share = clopper_pearson(right, guesses, confidence=confidence).lower
    return max(0.0, math.log(share) - math.log1p(-share)) if share > 0 else 0.0
