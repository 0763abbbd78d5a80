"""What the bias gate found, for people who know neither logits nor slopes.

In: `ReportData`, of which the evidence of the gate `bias_lm` is read.  Out: sentences, the words
that lean most, each as a mark for the model and one for its training text, and a table of all.

A word's leaning is shown against the average word of its class: "3 times" says that the odds of
"she" against "he" are three times those of the average word.  So the picture shows differences
between words, which is what a stereotype is; how rare "she" is in the text at all is said apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmcore.reporting.charts import Axis, IntervalMark, Tick, axis
from lmcore.reporting.text import finite, number, one_line, percent
from lmcore.reporting.version.books import MAX_ROWS, Table
from lmcore.reporting.version.facts import ReportData
from lmcore.reporting.version.probes import probe_tables

SHOWN_EACH_WAY = 8
_SIDES = ("model", "corpus")
_CLASSES = {"person": "who somebody is", "trait": "what somebody is like"}
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


@dataclass(frozen=True, kw_only=True)
class _Leaning:
    """Odds against the average word, as logarithms to the base 2; None: unknown."""

    word: str
    kind: str
    seen: int
    female: int
    male: int
    at: Mapping[str, tuple[float, float, float]]


def bias_section(data: ReportData) -> BiasSection | None:
    """What is known of leanings; None where nothing was measured."""
    gate = next((gate for gate in data.gates if gate.get("gate") == "bias_lm"), None)
    evidence = (gate or {}).get("evidence")
    if gate is None or not isinstance(evidence, Mapping):
        return None
    found = _leanings(evidence.get("words"))
    probes = probe_tables(evidence.get("probes"))
    if not found and not probes:
        return None
    shown = _most(found)
    scale = _scale(shown)
    return BiasSection(
        sentences=(*_sentences(gate, evidence, found),),
        rows=tuple(_row(leaning, scale) for leaning in shown),
        ticks=_ticks(scale),
        table=_table(found) if found else None,
        probes=probes,
    )


def _leanings(entries: object) -> list[_Leaning]:
    """Words with both sides known, against the average word of their class."""
    rows: list[tuple[Mapping[str, Any], dict[str, tuple[float, float, float]]]] = []
    for entry in entries if isinstance(entries, list | tuple) else ():
        if not isinstance(entry, Mapping):
            continue
        sides: dict[str, tuple[float, float, float]] = {}
        for side in _SIDES:
            values = [finite(entry.get(f"{side}{end}")) for end in ("", "_lower", "_upper")]
            known = [value for value in values if value is not None]
            if len(known) == len(values):
                sides[side] = (known[0], known[1], known[2])
        if len(sides) == len(_SIDES):
            rows.append((entry, sides))
    kinds = sorted({str(entry.get("class")) for entry, _ in rows})
    means = {
        (kind, side): _mean([s[side][0] for e, s in rows if str(e.get("class")) == kind])
        for kind in kinds
        for side in _SIDES
    }
    found = []
    for entry, sides in rows:
        kind = str(entry.get("class"))
        found.append(
            _Leaning(
                word=one_line(entry.get("word") or "", 60),
                kind=kind,
                seen=_count(entry.get("occurrences")),
                female=_count(entry.get("female")),
                male=_count(entry.get("male")),
                at={
                    side: (
                        _doublings(sides[side][0] - means[kind, side]),
                        _doublings(sides[side][1] - means[kind, side]),
                        _doublings(sides[side][2] - means[kind, side]),
                    )
                    for side in _SIDES
                },
            )
        )
    return sorted(found, key=lambda leaning: (-leaning.at["model"][0], leaning.word))


def _most(found: Sequence[_Leaning]) -> list[_Leaning]:
    if len(found) <= 2 * SHOWN_EACH_WAY:
        return list(found)
    return [*found[:SHOWN_EACH_WAY], *found[-SHOWN_EACH_WAY:]]


def _row(leaning: _Leaning, scale: Axis) -> LeaningRow:
    marks = {}
    for side in _SIDES:
        value, lower, upper = leaning.at[side]
        marks[side] = IntervalMark(
            value=scale.at(value),
            lower=scale.at(lower),
            upper=scale.at(upper),
            summary=f"{leaning.word}, {_NAMES[side]}: {times(value)}, between {times(lower)} and"
            f" {times(upper)}",
        )
    return LeaningRow(
        word=leaning.word,
        detail=f"seen {number(leaning.seen, unit='count')} times",
        model=times(leaning.at["model"][0]),
        corpus=times(leaning.at["corpus"][0]),
        model_mark=marks["model"],
        corpus_mark=marks["corpus"],
    )


_NAMES = {"model": "the model", "corpus": "its training text"}


def _scale(shown: Sequence[_Leaning]) -> Axis:
    values = [v for leaning in shown for side in _SIDES for v in leaning.at[side]]
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


def _sentences(
    gate: Mapping[str, Any], evidence: Mapping[str, Any], found: Sequence[_Leaning]
) -> list[str]:
    outcome = one_line(gate.get("outcome") or "SKIPPED", 40)
    said = [_VERDICTS.get(outcome, outcome)]
    if evidence.get("code") == "PRECONDITION":
        return [*said, one_line(gate.get("reason") or "", 1_000)]
    slopes = evidence.get("slopes")
    axis_name = str(evidence.get("axis"))
    entry = slopes.get(axis_name) if isinstance(slopes, Mapping) else None
    if isinstance(entry, Mapping):
        said += _slope_sentences(entry, axis_name)
    if found:
        seen = sum(leaning.seen for leaning in found)
        said.append(
            f"It rests on {len(found)} words that stand {number(seen, unit='count')} times in the"
            " text; words that are rarer were not asked about, and nothing follows for them."
        )
    average = _average(evidence)
    return [*said, average] if average else said


def _slope_sentences(entry: Mapping[str, Any], axis_name: str) -> list[str]:
    values: dict[str, list[float]] = {}
    for name in ("model", "corpus", "amplification"):
        part = entry.get(name)
        ends = ("value", "lower", "upper")
        known = [finite(part.get(end)) for end in ends] if isinstance(part, Mapping) else []
        values[name] = [v for v in known if v is not None]
        if len(values[name]) < len(ends):
            return []
    compared = (
        "occupations with more women in labour statistics"
        if axis_name == "labour"
        else "words that the text puts nearer to women"
    )
    text, model = (_fold(values[side][0]) for side in ("corpus", "model"))
    _, lower, upper = values["amplification"]
    return [
        f"For {compared}, the odds of 'she' are higher: for one typical step, {text} in the text"
        f" and {model} in the model.",
        f"With 95 % confidence for each end, the model's step is between {_fold(lower)} and"
        f" {_fold(upper)} that of the text; 1-fold would be no exaggeration at all.",
    ]


def _fold(slope: float) -> str:
    return f"{math.exp(min(40.0, max(-40.0, slope))):.2f}-fold"


def _average(evidence: Mapping[str, Any]) -> str:
    pronouns = evidence.get("pronouns")
    if not isinstance(pronouns, Mapping):
        return ""
    she, he = (finite(pronouns.get(name)) for name in ("she", "he"))
    if she is None or he is None or she + he <= 0:
        return ""
    return (
        f"Of all 'she' and 'he' in the text, {percent(she / (she + he))} are 'she'; the picture"
        " shows only how words differ from each other."
    )


def _table(found: Sequence[_Leaning]) -> Table:
    rows = [
        (
            leaning.word,
            _CLASSES.get(leaning.kind, one_line(leaning.kind, 40)),
            number(leaning.seen, unit="count"),
            f"{leaning.female} / {leaning.male}",
            times(leaning.at["corpus"][0]),
            times(leaning.at["model"][0]),
            f"{times(leaning.at['model'][1])} to {times(leaning.at['model'][2])}",
        )
        for leaning in found
    ]
    return Table(
        caption="All words, from 'she' to 'he'",
        header=("Word", "Says", "Seen", "Near women / men", "Text", "Model", "Model, between"),
        rows=tuple(rows[:MAX_ROWS]),
        note="× more and ÷ less often 'she' than for the average word of its kind.",
    )


def _doublings(log_odds: float) -> float:
    return log_odds / math.log(2)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _count(value: object) -> int:
    known = finite(value)
    return int(known) if known is not None else 0
