"""What is new since the last version, as a report is given it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainValidator

from lmcore.reporting.estimates import Estimate
from lmcore.reporting.values import Count, Entries, Fact, Flag, NeededText, Part, Text, items, text


def _rows(raw: object) -> tuple[tuple[str, str, str], ...]:
    rows = (tuple(text(cell) for cell in items(row)) for row in items(raw))
    return tuple((row[0], row[1], row[2]) for row in rows if len(row) == 3)


def _two(raw: object) -> tuple[object, ...]:
    return tuple(items(raw))[:2]


class MetricChange(Fact):
    """One metric of both versions."""

    name: NeededText
    before: Part[Estimate] = Estimate()
    now: Part[Estimate] = Estimate()


class SampleChange(Fact):
    """What both versions wrote after one prompt."""

    prompt: Text = ""
    before: Text = ""
    now: Text = ""


class Changes(Fact):
    """What is new since the last version.

    Attributes:
        version: The last one; None: there is none to compare with.
        outcome: What became of it.
        documents: Number of its documents and of this version's.
        added: Documents that are new.
        removed: Documents that are gone.
        config: Keys that differ: name, value before, value now.
        code_changed: Whether lmcore or a library is another one.
        metrics: Of both.
        samples: Of both.
    """

    version: Count = None
    outcome: Text = ""
    documents: Annotated[tuple[object, ...], PlainValidator(_two)] = ()
    added: Count = None
    removed: Count = None
    config: Annotated[tuple[tuple[str, str, str], ...], PlainValidator(_rows)] = ()
    code_changed: Flag = False
    metrics: Entries[MetricChange] = ()
    samples: Entries[SampleChange] = Field(default=())
