"""How far words lean to "she" or "he": the evidence of the gate `bias_lm`."""

from __future__ import annotations

from typing import Any

from pydantic import AliasPath, Field, model_validator

from lmcore.reporting.values import (
    Entries,
    Fact,
    Flag,
    Maybe,
    Named,
    NeededNumber,
    Number,
    Text,
    Texts,
    Total,
    mapping,
)


class Leaning(Fact):
    """A log-odds or a slope with both its bounds."""

    value: NeededNumber
    lower: NeededNumber
    upper: NeededNumber


class LeaningWord(Fact):
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

    word: Text = ""
    kind: Text = Field("", alias="class")
    seen: Total = Field(0, alias="occurrences")
    female: Total = 0
    male: Total = 0
    model: Leaning
    corpus: Leaning

    @model_validator(mode="before")
    @classmethod
    def _sides(cls, raw: Any) -> dict[str, Any]:
        """Values and bounds stand side by side in the evidence."""
        found = mapping(raw)
        ends = {"value": "", "lower": "_lower", "upper": "_upper"}
        sides = {
            side: {name: found.get(f"{side}{end}") for name, end in ends.items()}
            for side in ("model", "corpus")
        }
        return {**found, **sides}


class Slopes(Fact):
    """How steeply leanings rise along an axis, per typical step, in log-odds.

    Attributes:
        model: Of the model.
        corpus: Of its training text.
        amplification: The first less the second.
    """

    model: Leaning
    corpus: Leaning
    amplification: Leaning


class Preference(Fact):
    """Share of the pairs of sentences of which the one with the stereotype is preferred."""

    share: Number = None
    lower: Number = None
    upper: Number = None
    pairs: Number = None


class Association(Fact):
    """One word embedding association test: effect size, p, and whether p is exact."""

    name: Text = ""
    d: Number = None
    p: Number = None
    exact: Flag = False


class Probe(Fact):
    """A published probe.

    Attributes:
        problem: Why it was not run; empty: it was.
        flaws: What is known to be wrong with it.
        all: CrowS-Pairs: of all pairs.
        kinds: CrowS-Pairs: by what they are about.
        tests: WEAT.
    """

    problem: Text = ""
    flaws: Texts = ()
    all: Maybe[Preference] = None
    kinds: Named[Preference] = Field(default_factory=dict)
    tests: Entries[Association] = ()


class BiasEvidence(Fact):
    """What the gate looked at.

    Attributes:
        code: `PRECONDITION` where it could not judge.
        words: Those with both sides known.
        axis: `labour`: women's share in labour statistics; `corpus`: the text's own leaning.
        slopes: By axis.
        she: How often this word stands in the training text; None: not known.
        he: The same of this one.
        crows_pairs: None: not among the evidence.
        weat: None: not among the evidence.
    """

    code: Text = ""
    words: Entries[LeaningWord] = ()
    axis: Text = ""
    slopes: Named[Slopes] = Field(default_factory=dict)
    she: Number = Field(None, validation_alias=AliasPath("pronouns", "she"))
    he: Number = Field(None, validation_alias=AliasPath("pronouns", "he"))
    crows_pairs: Maybe[Probe] = Field(None, validation_alias=AliasPath("probes", "crows_pairs"))
    weat: Maybe[Probe] = Field(None, validation_alias=AliasPath("probes", "weat"))
