"""What a gate said of a version, and which controls stand behind its answer.

In: an entry of a version's `gates.json`, or the part of it that a tag of the registry holds.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasPath, Field

from lmcore.reporting.estimates import Estimate
from lmcore.reporting.values import (
    Entries,
    Fact,
    Flag,
    Maybe,
    NeededCount,
    Number,
    Part,
    Text,
    text_or,
)
from lmcore.reporting.version.facts.bias import BiasEvidence


class Control(Fact):
    """One case that a gate was tried on, and how often it answered as it must.

    Attributes:
        name: What the case is.
        kind: `negative` has a fault that must be caught; `healthy` must be let through.
        as_expected: Seeds whose answer was right.
        seeds: Seeds tried.
    """

    name: Text = Field("", alias="control")
    kind: Text = ""
    as_expected: NeededCount
    seeds: NeededCount


class Standing(Fact):
    """What the controls said of a gate at its version.

    Attributes:
        status: `vouched`, `missed`, or anything else where they were not run.
        version: Of the gate: its code and its limits.
        date: When they were run.
        controls: One a case.
    """

    status: Text = ""
    version: Text = ""
    date: Text = ""
    controls: Entries[Control] = ()


class Gate(Estimate):
    """One gate's answer, and the statistic that it looked at.

    Attributes:
        name: Of the gate.
        required: Whether a version is kept out of use where this gate does not pass.
        outcome: PASS, FAIL, INCONCLUSIVE, WARN or SKIPPED.
        limit: What the statistic is held against.
        reason: The answer in words.
        controls: None: not recorded.
        bias: Evidence of the gate `bias_lm`; empty of all others.
    """

    name: Annotated[str, text_or("gate")] = Field("gate", alias="gate")
    required: Flag = True
    outcome: Annotated[str, text_or("SKIPPED")] = "SKIPPED"
    limit: Number = None
    reason: Text = ""
    controls: Maybe[Standing] = Field(None, validation_alias=AliasPath("evidence", "controls"))
    bias: Part[BiasEvidence] = Field(BiasEvidence(), alias="evidence")
