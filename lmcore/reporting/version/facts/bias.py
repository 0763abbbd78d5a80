"""How far words lean to "she" or "he": the evidence of the gate `bias_lm`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from lmcore.reporting.estimates import Estimate
from lmcore.reporting.values import finite, items, mapping, mappings, text, whole


@dataclass(frozen=True, kw_only=True)
class Leaning:
    """A log-odds or a slope with both its bounds."""

    value: float
    lower: float
    upper: float

    @classmethod
    def from_json(cls, raw: Mapping[str, Any], *names: str) -> Self | None:
        """Read the entries of these three names; None where one of them is no number."""
        value, lower, upper = (finite(raw.get(name)) for name in names)
        if value is None or lower is None or upper is None:
            return None
        return cls(value=value, lower=lower, upper=upper)


@dataclass(frozen=True, kw_only=True)
class LeaningWord:
    """One word, and the log-odds of "she" against "he" near it.

    Attributes:
        word: The word.
        kind: `person` or `trait`.
        seen: How often it stands in the training text.
        female: How often the gendered word next to it was a woman's.
        male: How often it was a man's.
        model: What the model expects.
        corpus: What the training text says.
    """

    word: str
    kind: str
    seen: int
    female: int
    male: int
    model: Leaning
    corpus: Leaning

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self | None:
        """Read one entry; None where a side is not known."""
        model, corpus = (
            Leaning.from_json(raw, side, f"{side}_lower", f"{side}_upper")
            for side in ("model", "corpus")
        )
        if model is None or corpus is None:
            return None
        return cls(
            word=text(raw.get("word")),
            kind=text(raw.get("class")),
            seen=whole(raw.get("occurrences")) or 0,
            female=whole(raw.get("female")) or 0,
            male=whole(raw.get("male")) or 0,
            model=model,
            corpus=corpus,
        )


@dataclass(frozen=True, kw_only=True)
class Slopes:
    """How steeply leanings rise along an axis, per typical step, in log-odds.

    Attributes:
        axis: `labour`: women's share in labour statistics; `corpus`: the text's own leaning.
        model: Of the model.
        corpus: Of its training text.
        amplification: The first less the second.
    """

    axis: str
    model: Leaning
    corpus: Leaning
    amplification: Leaning

    @classmethod
    def from_json(cls, raw: object, *, axis: str) -> Self | None:
        """Read the slopes along one axis; None where one is missing."""
        found = mapping(mapping(raw).get(axis))
        model, corpus, amplification = (
            Leaning.from_json(mapping(found.get(name)), "value", "lower", "upper")
            for name in ("model", "corpus", "amplification")
        )
        if model is None or corpus is None or amplification is None:
            return None
        return cls(axis=axis, model=model, corpus=corpus, amplification=amplification)


@dataclass(frozen=True, kw_only=True)
class Association:
    """One word embedding association test: effect size, p, and whether p is exact."""

    name: str
    d: float | None
    p: float | None
    exact: bool


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A published probe.

    Attributes:
        problem: Why it was not run; empty: it was.
        flaws: What is known to be wrong with it.
        preferences: CrowS-Pairs: share of stereotypes preferred, by what they are about.
        associations: WEAT: one a test.
    """

    problem: str
    flaws: tuple[str, ...]
    preferences: tuple[tuple[str, Estimate], ...]
    associations: tuple[Association, ...]

    @classmethod
    def from_json(cls, raw: object) -> Self | None:
        """Read the result of either probe; None where there is none."""
        if not isinstance(raw, Mapping):
            return None
        kinds = {"all": raw.get("all"), **mapping(raw.get("kinds"))}
        preferences = [
            (name, Estimate.from_json({**part, "value": part.get("share"), "n": part.get("pairs")}))
            for name, part in kinds.items()
            if isinstance(part, Mapping)
        ]
        associations = [
            Association(
                name=text(test.get("name")),
                d=finite(test.get("d")),
                p=finite(test.get("p")),
                exact=test.get("exact") is True,
            )
            for test in mappings(raw.get("tests"))
        ]
        return cls(
            problem=text(raw.get("problem")),
            flaws=tuple(text(flaw) for flaw in items(raw.get("flaws"))),
            preferences=tuple(preferences),
            associations=tuple(associations),
        )


@dataclass(frozen=True, kw_only=True)
class BiasEvidence:
    """What the gate looked at.

    Attributes:
        refused: Whether it could not judge.
        words: Those with both sides known.
        slopes: Along the axis that decided; None: not known.
        she: How often this word stands in the training text; None: not known.
        he: The same of this one.
        crows_pairs: None: not among the evidence.
        weat: None: not among the evidence.
    """

    refused: bool
    words: tuple[LeaningWord, ...]
    slopes: Slopes | None
    she: float | None
    he: float | None
    crows_pairs: Probe | None
    weat: Probe | None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read the evidence of the gate."""
        words = (LeaningWord.from_json(entry) for entry in mappings(raw.get("words")))
        pronouns, probes = mapping(raw.get("pronouns")), mapping(raw.get("probes"))
        return cls(
            refused=raw.get("code") == "PRECONDITION",
            words=tuple(word for word in words if word is not None),
            slopes=Slopes.from_json(raw.get("slopes"), axis=text(raw.get("axis"))),
            she=finite(pronouns.get("she")),
            he=finite(pronouns.get("he")),
            crows_pairs=Probe.from_json(probes.get("crows_pairs")),
            weat=Probe.from_json(probes.get("weat")),
        )
