"""What the bias gate found, for people who know neither logits nor slopes.

In: `ReportData`, of which the gate `bias_lm` has the evidence.  Out: sentences, the words that lean
most, each as a mark for the model and one for its training text, and a table of all.

A word's leaning is shown against the average word of its class: "3 times" says that the odds of
"she" against "he" are three times those of the average word.  So the picture shows differences
between words, which is what a stereotype is; how rare "she" is in the text at all is said apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lmcore.counted import counted, named
from lmcore.reporting.charts import Axis, IntervalMark, Tick, axis
from lmcore.reporting.tables import MAX_ROWS, Table
from lmcore.reporting.text import number, one_line, percent
from lmcore.reporting.version.facts.bias import BiasEvidence, Leaning, LeaningWord, Slopes
from lmcore.reporting.version.facts.gates import Gate
from lmcore.reporting.version.facts.report import ReportData
from lmcore.reporting.version.probes import probe_tables

SHOWN_EACH_WAY = 8
_KINDS = {"person": "who somebody is", "trait": "what somebody is like"}
_VERDICTS = {
    "PASS": "The model does not exaggerate the stereotypes of its training text.",
    "FAIL": "The model leans further than is allowed.",
    "INCONCLUSIVE": "It cannot be told whether the model exaggerates.",
    "WARN": "The model leans further than is advised.",
    "SKIPPED": "This was not judged.",
}


@dataclass(frozen=True, kw_only=True)
class LeaningRow:
    """One word: how far the model and its training text lean, as text and as marks."""

    word: str
    detail: str
    model: str
    corpus: str
    model_mark: IntervalMark
    corpus_mark: IntervalMark


@dataclass(frozen=True, kw_only=True)
class BiasSection:
    """The part of a report about leanings.

    Attributes:
        sentences: The verdict, what it rests on, and how sure it is, in order.
        rows: Words that lean most, from "she" to "he".
        ticks: Of their common axis.
        table: All words.
        probes: Tables of published probes, each with its flaws as its note.
    """

    sentences: tuple[str, ...]
    rows: tuple[LeaningRow, ...]
    ticks: tuple[Tick, ...]
    table: Table | None
    probes: tuple[Table, ...]


def bias_section(data: ReportData) -> BiasSection | None:
    """What is known of leanings; None where nothing was measured."""
    gate = next((gate for gate in data.gates if gate.name == "bias_lm"), None)
    if gate is None:
        return None
    found, probes = _against_average(gate.bias.words), probe_tables(gate.bias)
    if not found and not probes:
        return None
    shown = _most(found)
    scale = _scale(shown)
    return BiasSection(
        sentences=tuple(_sentences(gate, gate.bias)),
        rows=tuple(_row(word, scale) for word in shown),
        ticks=_ticks(scale),
        table=_table(found) if found else None,
        probes=probes,
    )


def _against_average(entries: Sequence[LeaningWord]) -> list[LeaningWord]:
    """Odds against the average word of the same kind, as logarithms to the base 2."""
    kinds = sorted({entry.kind for entry in entries})
    model = {kind: _mean([e.model.value for e in entries if e.kind == kind]) for kind in kinds}
    corpus = {kind: _mean([e.corpus.value for e in entries if e.kind == kind]) for kind in kinds}
    found = [
        entry.model_copy(
            update={
                "word": one_line(entry.word, 60),
                "model": _doublings(entry.model, model[entry.kind]),
                "corpus": _doublings(entry.corpus, corpus[entry.kind]),
            }
        )
        for entry in entries
    ]
    return sorted(found, key=lambda entry: (-entry.model.value, entry.word))


def _doublings(leaning: Leaning, mean: float) -> Leaning:
    value, lower, upper = ((v - mean) / math.log(2) for v in _ends(leaning))
    return Leaning(value=value, lower=lower, upper=upper)


def _ends(leaning: Leaning) -> tuple[float, float, float]:
    return leaning.value, leaning.lower, leaning.upper


def _most(found: list[LeaningWord]) -> list[LeaningWord]:
    if len(found) <= 2 * SHOWN_EACH_WAY:
        return found
    return [*found[:SHOWN_EACH_WAY], *found[-SHOWN_EACH_WAY:]]


def _row(entry: LeaningWord, scale: Axis) -> LeaningRow:
    return LeaningRow(
        word=entry.word,
        detail=f"seen {number(entry.seen, unit='count')} {named(entry.seen, 'time')}",
        model=times(entry.model.value),
        corpus=times(entry.corpus.value),
        model_mark=_mark(f"{entry.word}, the model", entry.model, scale),
        corpus_mark=_mark(f"{entry.word}, its training text", entry.corpus, scale),
    )


def _mark(what: str, leaning: Leaning, scale: Axis) -> IntervalMark:
    value, lower, upper = map(times, _ends(leaning))
    return IntervalMark(
        value=scale.at(leaning.value),
        lower=scale.at(leaning.lower),
        upper=scale.at(leaning.upper),
        summary=f"{what}: {value}, between {lower} and {upper}",
    )


def _scale(shown: Sequence[LeaningWord]) -> Axis:
    values = [v for entry in shown for v in (*_ends(entry.model), *_ends(entry.corpus))]
    # A side that was never seen near a word has bounds far out; the axis ends before those.
    return axis([min(6.0, max(-6.0, v)) for v in (*values, -1.0, 1.0)], padding=0.04)


def _ticks(scale: Axis) -> tuple[Tick, ...]:
    low, high = math.ceil(scale.low), math.floor(scale.high)
    step = 1 if high - low <= 6 else 2
    return tuple(
        Tick(at=scale.at(k), label=times(k)) for k in range(-(-low // step) * step, high + 1, step)
    )


def times(doublings: float) -> str:
    """Odds against the average word in words: `3 times`, `1/2.5`, `as the average`."""
    factor = 2.0 ** min(40.0, abs(doublings))
    if factor < 1.05:
        return "average"
    text = f"{factor:,.0f}" if factor >= 9.95 else f"{factor:.1f}".removesuffix(".0")
    return f"×{text}" if doublings > 0 else f"÷{text}"


def _sentences(gate: Gate, evidence: BiasEvidence) -> list[str]:
    outcome = one_line(gate.outcome, 40)
    said = [_VERDICTS.get(outcome, outcome)]
    if evidence.code == "PRECONDITION":
        return [*said, one_line(gate.reason, 1_000)]
    if slopes := evidence.slopes.get(evidence.axis):
        said += _slope_sentences(slopes, evidence.axis)
    if evidence.words:
        seen = sum(entry.seen for entry in evidence.words)
        said.append(
            f"It rests on {counted(len(evidence.words), 'word')}, in all {counted(seen, 'time')}"
            " in the text; words that are rarer were not asked about, and nothing follows for them."
        )
    she, he = evidence.she, evidence.he
    if she is not None and he is not None and she + he > 0:
        said.append(
            f"Of all 'she' and 'he' in the text, {percent(she / (she + he))} are 'she'; the"
            " picture shows only how words differ from each other."
        )
    return said


def _slope_sentences(slopes: Slopes, axis_name: str) -> list[str]:
    compared = (
        "occupations with more women in labour statistics"
        if axis_name == "labour"
        else "words that the text puts nearer to women"
    )
    lower, upper = slopes.amplification.lower, slopes.amplification.upper
    return [
        f"For {compared}, the odds of 'she' are higher: for one typical step,"
        f" {_fold(slopes.corpus.value)} in the text and {_fold(slopes.model.value)} in the model.",
        f"With 95 % confidence for each end, the model's step is between {_fold(lower)} and"
        f" {_fold(upper)} that of the text; 1-fold would be no exaggeration at all.",
    ]


def _fold(slope: float) -> str:
    return f"{math.exp(min(40.0, max(-40.0, slope))):.2f}-fold"


def _table(found: Sequence[LeaningWord]) -> Table:
    rows = (
        (
            entry.word,
            _KINDS.get(entry.kind, one_line(entry.kind, 40)),
            number(entry.seen, unit="count"),
            f"{entry.female} / {entry.male}",
            times(entry.corpus.value),
            times(entry.model.value),
            f"{times(entry.model.lower)} to {times(entry.model.upper)}",
        )
        for entry in found
    )
    return Table(
        caption="All words, from 'she' to 'he'",
        header=("Word", "Says", "Seen", "Near women / men", "Text", "Model", "Model, between"),
        rows=tuple(rows)[:MAX_ROWS],
        note="× more and ÷ less often 'she' than for the average word of its kind.",
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
