"""Everything that is measured of what a model remembers, gathered once for several gates.

In come the scores of an evaluation as they arise and the shards that the model has read; out comes
`Memorisation`: membership inference for the overfitting gate, and the evidence of the gates
regurgitation, exposure and contamination.  Members are always text that was *consumed*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from lmcore.artifacts import ContentStore
from lmcore.data.documents import Document
from lmcore.data.tokens.corpus import Corpus
from lmcore.evaluation.config import EvaluationLimits
from lmcore.evaluation.memory.contamination import Contamination, measure_contamination
from lmcore.evaluation.memory.difficulty_reference import Reference
from lmcore.evaluation.memory.exposure import Exposure, measure_exposure
from lmcore.evaluation.memory.membership import Membership, SideNotes, membership_of
from lmcore.evaluation.memory.regurgitation import Regurgitation, free_samples, verbatim
from lmcore.evaluation.memory.suffix_array import train_index
from lmcore.model.language_model import RecurrentAttentionLM

Part = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True, kw_only=True)
class Memorisation:
    """What was measured; each part is the evidence of one gate."""

    membership: Membership
    regurgitation: Regurgitation
    exposure: Exposure | None
    contamination: Contamination


def measure_memorisation(
    store: ContentStore,
    corpus: Corpus,
    *,
    model: RecurrentAttentionLM,
    ranges: Sequence[tuple[int, int]],
    validation: Iterable[Document],
    seen: SideNotes,
    unseen: SideNotes,
    reference: Reference,
    limits: EvaluationLimits,
    seed: int,
    part: Part,
) -> Memorisation:
    """Measure what was not measured in passing.

    Args:
        store: Where the index of the train text is kept.
        corpus: The data of this run, of which the model has read the train stream.
        model: In evaluation mode.
        ranges: Token ranges of the train stream that it consumed.
        validation: The documents that it is scored on.
        seen: Notes on the consumed sample.
        unseen: Notes on `validation`.
        reference: Scores of the reference on both.
        limits: How much is drawn, and what counts as a common phrase.
        seed: Of the free samples.
        part: Times a part.
    """
    with part("train_index"):
        index = train_index(store, corpus.shards)
    with part("free_samples"):
        drawn = free_samples(
            model, count=limits.free_samples, num_tokens=limits.free_sample_tokens, seed=seed
        )
        longest, examples = verbatim(drawn, index, pieces=corpus.loaded.pieces)
    with part("exposure"):
        canaries, exposure = corpus.shards.canaries(), None
        # What only an earlier training met is forbidden; no coin was tossed for it in this one.
        if canaries is not None and (canaries.pairs or not canaries.inherited):
            exposure = measure_exposure(
                model, corpus.loaded, canaries, stream=corpus.train_stream, ranges=ranges
            )
    with part("contamination"):
        contamination = measure_contamination(
            corpus.documents, validation=validation, common_documents=limits.common_documents
        )
    return Memorisation(
        membership=membership_of(seen, unseen, reference),
        regurgitation=Regurgitation(
            train=seen.windows.windows(),
            held_out=unseen.windows.windows(),
            longest=longest,
            examples=examples,
        ),
        exposure=exposure,
        contamination=contamination,
    )
