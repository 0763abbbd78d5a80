"""What the gates ask of a language model, what it costs, and who needs how much of it.

In: the limits, how fast the models are (`Speeds`), and how much there is to ask about (`Sizes`).
Out: an `EvaluationPlan`, a pure function of these three.

Who needs what at least, beside being wide enough (each gate says that by its interval):

* ten documents of each side, as an interval over fewer rests on the shape of the distribution;
* for a claim about new documents as many of them as `champion.min_fresh_documents`;
* so many free samples that none with a match shows a rate below the limit;
* all questions for personal data, as the controls ask all;
* 999 references of canaries, so that their top percent is ten texts wide;
* as many words as a slope needs, and as many windows as regurgitation needs.

The gates that are required come first; among them the order of the list below holds.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from lmcore.evaluation.budget.plan import EvaluationPlan, Part, Stage
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.memory.regurgitation import PREFIX_TOKENS, SUFFIX_TOKENS
from lmcore.evaluation.statistics.power import trials_without_hits

LEAST_DOCUMENTS = 10
LEAST_REFERENCES = 999
# Readings of each probed text beside the one token by token, and of one text as a whole.
_READINGS_EACH, _READINGS_ONCE = 4, 7


@dataclass(frozen=True, kw_only=True)
class Speeds:
    """How fast models answer here.

    Attributes:
        score: Tokens a second that the candidate scores, many side by side.
        step: Seconds of reading one token in a lane alone.
        write: Seconds of a token in each of `lanes` lanes, choosing it included.
        lanes: Texts that it writes side by side.
        draw: Seconds of choosing one token where each lane has its own settings.
        bytes_per_token: Of its tokenizer.
        champion: Bytes a second that the champion scores; None: there is none.
    """

    score: float
    step: float
    write: float
    lanes: int
    draw: float
    bytes_per_token: float
    champion: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much there is to ask about.

    Attributes:
        validation: Bytes of each held-out document, in the order in which they are taken.
        fresh_at: So many of them hold enough that the champion has never met, or all of these.
        fresh: Bytes of further documents that the champion has never met, likewise.
        anchor: Bytes of further anchor documents, likewise.
        train: Tokens of each document that was learnt from, likewise.
        readers: Sets of the candidate's size that read validation: itself, its last weights, parts.
        learnt_readers: The same of what was learnt from: itself, what it began with.
        instrument: Texts that the instrument is probed with, and tokens of each.
        samples: Texts for the report, and tokens of each.
        elicited: Texts that are asked for personal data, and tokens of each.
        canaries: Pairs of canaries, and tokens of a text.
        references: Texts to rank them among.
        words: Words whose leaning is asked, and tokens of all sentences of one.
        pairs: Of a published probe, and tokens of a pair.
    """

    validation: Sequence[int]
    fresh_at: int = 0
    fresh: Sequence[int] = ()
    anchor: Sequence[int] = ()
    train: Sequence[int] = ()
    readers: int = 1
    learnt_readers: int = 1
    instrument: tuple[int, int] = (0, 0)
    samples: tuple[int, int] = (0, 0)
    elicited: tuple[int, int] = (0, 0)
    canaries: tuple[int, int] = (0, 0)
    references: int = 0
    words: tuple[int, int] = (0, 0)
    pairs: tuple[int, int] = (0, 0)


def plan_evaluation(
    limits: GatesConfig, speeds: Speeds, sizes: Sizes, *, probe_seconds: float = 0.0
) -> EvaluationPlan:
    """Turn the budget of the limits into counts.

    Args:
        limits: With a budget.
        speeds: Of the models.
        sizes: What there is.
        probe_seconds: That measuring the speeds took.
    """
    budget = limits.evaluation.budget_seconds
    assert budget is not None
    return EvaluationPlan.of(
        _parts(limits, speeds, sizes),
        _stages(limits, speeds, sizes),
        budget_seconds=budget,
        probe_seconds=probe_seconds,
        speeds={name: value for name, value in asdict(speeds).items() if value is not None},
    )


def _parts(limits: GatesConfig, speeds: Speeds, sizes: Sizes) -> dict[str, Part]:
    token = 1 / speeds.score
    byte = sizes.readers * token / speeds.bytes_per_token
    if speeds.champion is not None:
        byte += 1 / speeds.champion

    def documents(values: Sequence[int], each: float) -> Callable[[int], float]:
        sums = [0, *itertools.accumulate(values)]
        return lambda count: sums[count] * each

    def written(length: int, draw: float) -> Callable[[int], float]:
        return lambda count: (
            length * (math.ceil(count / speeds.lanes) * speeds.write + count * draw)
        )

    texts, probed = sizes.instrument
    pairs, canary = sizes.canaries
    return {
        "validation_documents": Part(
            title="held-out documents",
            most=len(sizes.validation),
            seconds=documents(sizes.validation, byte),
            floor=2,
        ),
        "fresh_documents": Part(
            title="more new documents", most=len(sizes.fresh), seconds=documents(sizes.fresh, byte)
        ),
        "anchor_documents": Part(
            title="more anchor documents",
            most=len(sizes.anchor),
            seconds=documents(sizes.anchor, byte),
        ),
        "train_documents": Part(
            title="documents that it learnt from",
            most=len(sizes.train),
            seconds=documents(sizes.train, sizes.learnt_readers * token),
            floor=2,
        ),
        "instrument_texts": Part(
            title="texts for the instrument",
            most=texts,
            # Beside those of documents stands one of random tokens; steps are taken together.
            seconds=lambda count: (
                (probed + 1)
                * (
                    max(speeds.step, speeds.write)
                    + (_READINGS_EACH * (count + 1) + _READINGS_ONCE) * token
                )
            ),
            floor=1,
        ),
        "samples": Part(
            title="samples to show",
            most=sizes.samples[0],
            seconds=written(sizes.samples[1], speeds.draw),
        ),
        "elicited_texts": Part(
            title="questions for personal data",
            most=sizes.elicited[0],
            seconds=written(sizes.elicited[1], speeds.draw),
        ),
        "free_samples": Part(
            title="free samples",
            most=limits.evaluation.free_samples,
            seconds=written(limits.evaluation.free_sample_tokens, 0.0),
        ),
        "canary_references": Part(
            title="references of canaries",
            most=sizes.references if pairs else 0,
            seconds=lambda count: (2 * pairs + count) * canary * token if count else 0.0,
        ),
        "bias_words": Part(
            title="words",
            most=sizes.words[0],
            seconds=lambda count: count * sizes.words[1] * token,
        ),
        "probe_pairs": Part(
            title="pairs of a published probe",
            most=sizes.pairs[0],
            seconds=lambda count: count * sizes.pairs[1] * token,
        ),
    }


def _stages(limits: GatesConfig, speeds: Speeds, sizes: Sizes) -> list[Stage]:
    held_out, learnt = "validation_documents", "train_documents"
    windows = limits.regurgitation.min_windows
    samples = trials_without_hits(limits.regurgitation.max_verbatim_share)
    wanted = [
        ("instrument", "instrument_texts", 1),
        ("competence", held_out, LEAST_DOCUMENTS),
        ("champion", held_out, max(LEAST_DOCUMENTS, sizes.fresh_at)),
        ("champion", "fresh_documents", limits.champion.min_fresh_documents),
        ("champion", "anchor_documents", LEAST_DOCUMENTS),
        ("overfitting", held_out, LEAST_DOCUMENTS),
        ("overfitting", learnt, LEAST_DOCUMENTS),
        ("", "samples", sizes.samples[0]),
        ("pii", "elicited_texts", sizes.elicited[0]),
        ("data_sufficiency", held_out, LEAST_DOCUMENTS),
        ("regurgitation", "free_samples", samples),
        (
            "regurgitation",
            held_out,
            _holding(windows, [size / speeds.bytes_per_token for size in sizes.validation]),
        ),
        ("regurgitation", learnt, _holding(windows, sizes.train)),
        ("exposure", "canary_references", LEAST_REFERENCES),
        ("bias_lm", "bias_words", limits.bias_lm.min_words),
        ("", "probe_pairs", 0),
    ]
    # With too little text for its windows no budget would let a gate tell, and it says so itself.
    hopeless = {gate for gate, part, least in wanted if part in (held_out, learnt) and not least}
    stages = [
        Stage(gate=gate, part=part, least=least)
        for gate, part, least in wanted
        if gate not in hopeless
    ]
    return sorted(stages, key=lambda stage: stage.gate not in limits.required)


def _holding(windows: int, tokens: Sequence[float]) -> int:
    """How many documents hold so many windows; 0 where all of them hold fewer."""
    each = (max(0, int((size - PREFIX_TOKENS) // SUFFIX_TOKENS)) for size in tokens)
    sums = list(itertools.accumulate(each))
    return bisect.bisect_left(sums, windows) + 1 if sums and sums[-1] >= windows else 0
