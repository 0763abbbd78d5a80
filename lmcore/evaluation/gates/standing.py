"""What the controls said of each gate, and what that means for its vote.

In come the counts of a control matrix, stored as JSON and shipped with the package; out comes
the `Standing` of a gate *at its version* (`lmcore.evaluation.gates.version`):

* vouched: every negative control was caught at this version;
* missed: one was not; the gate may not vote PASS, whatever it measures;
* not run: nothing is recorded for this version, as after a change of a limit. That is said in
  the evidence and blocks nothing: not run is not missed.

Comments, docstrings and layout are no part of a version: two hours of trials do not lapse over
a reworded sentence.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

from lmcore.counted import counted
from lmcore.durable import atomic_write
from lmcore.errors import IntegrityError
from lmcore.evaluation.config import GateName, GatesConfig
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.gates.version import gate_version
from lmcore.evaluation.statistics.intervals import Interval, clopper_pearson

RESULTS_FILE = "control_results.json"
Status = Literal["vouched", "missed", "not run"]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """One control over many seeds.

    Attributes:
        control: Its name.
        kind: `negative` or `healthy`.
        seeds: How many were run.
        as_expected: How many came out right.
        tolerated: Share that may go wrong.
        outcomes: How often each outcome came.
        values: The deciding statistic by seed, where there was one.
        unit: Of the values.
        limit: What it was held against.
        seconds: Of all seeds together.
    """

    control: str
    kind: str
    seeds: int
    as_expected: int
    tolerated: float = 0.0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    values: Sequence[float] = ()
    unit: str = ""
    limit: float | None = None
    seconds: float = 0.0

    @property
    def rate(self) -> Interval:
        """Share that came out right, exact bounds of 95 % each."""
        return clopper_pearson(self.as_expected, self.seeds)

    @property
    def wrong(self) -> Interval:
        """Share that came out wrong: misses, or false alarms of a healthy control."""
        return clopper_pearson(self.seeds - self.as_expected, self.seeds)

    @property
    def missed(self) -> bool:
        """Whether the gate let a broken case through.

        Where chance is allowed for, only a rate that is surely above it counts.
        """
        if self.kind != "negative":
            return False
        if self.tolerated:
            return self.wrong.lower > self.tolerated
        return self.as_expected < self.seeds

    def to_json(self) -> dict[str, Any]:
        """The counts as JSON values."""
        return {**self.__dict__, "outcomes": dict(self.outcomes), "values": list(self.values)}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a gate at one version did on its controls."""

    gate: str
    version: str
    status: Status
    controls: Sequence[Counted] = ()
    machine: str = ""
    date: str = ""

    @property
    def missed(self) -> Sequence[Counted]:
        """The negative controls that it let through."""
        return [counted for counted in self.controls if counted.missed]

    def caught(self, control: str) -> bool | None:
        """Whether it caught one negative control; None where that was not run."""
        found = [counted for counted in self.controls if counted.control == control]
        return not found[0].missed if found else None

    def to_json(self) -> dict[str, Any]:
        """What a result keeps of it as evidence."""
        return {
            "status": self.status,
            "version": self.version[:16],
            "date": self.date,
            "controls": [
                {
                    "control": counted.control,
                    "kind": counted.kind,
                    "seeds": counted.seeds,
                    "as_expected": counted.as_expected,
                }
                for counted in self.controls
            ],
        }


@dataclass(frozen=True, kw_only=True)
class GateRecord:
    """What was counted for one gate, the last time that its controls were run."""

    version: str
    controls: Sequence[Counted]
    machine: str
    date: str

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return {**self.__dict__, "controls": [counted.to_json() for counted in self.controls]}


@dataclass(frozen=True, kw_only=True)
class ControlRecord:
    """Counts of all gates, by gate."""

    gates: Mapping[str, GateRecord] = field(default_factory=dict)

    def standing(self, gate: str, version: str) -> Standing:
        """How the gate at this version did."""
        found = self.gates.get(gate)
        negative = [c for c in found.controls if c.kind == "negative"] if found else []
        if found is None or found.version != version or not negative:
            return Standing(gate=gate, version=version, status="not run")
        return Standing(
            gate=gate,
            version=version,
            status="missed" if any(counted.missed for counted in negative) else "vouched",
            controls=found.controls,
            machine=found.machine,
            date=found.date,
        )

    def with_gate(self, gate: str, found: GateRecord) -> Self:
        """The same with one gate's counts replaced."""
        return replace(self, gates={**self.gates, gate: found})

    def write(self, path: Path) -> None:
        """Store the record."""
        raw = {name: self.gates[name].to_json() for name in sorted(self.gates)}
        atomic_write(path, json.dumps({"schema_version": 1, "gates": raw}, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a stored record; a file that is not there is an empty one.

        Raises:
            IntegrityError: If the file is not a record.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls()
        try:
            raw = json.loads(text)["gates"]
            gates = {
                str(name): GateRecord(
                    version=str(value["version"]),
                    machine=str(value["machine"]),
                    date=str(value["date"]),
                    controls=tuple(Counted(**counted) for counted in value["controls"]),
                )
                for name, value in raw.items()
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(
                f"{path}: not a record of controls ({error}); restore it, or run `lmcore controls"
                " --record` again"
            ) from error
        return cls(gates=gates)


def shipped_path() -> Path:
    """The record that is installed with the package."""
    return Path(str(importlib.resources.files("lmcore.evaluation.gates") / RESULTS_FILE))


def shipped_record() -> ControlRecord:
    """The record that is installed with the package."""
    return ControlRecord.read(shipped_path())


def standings(gates: GatesConfig, record: ControlRecord) -> dict[GateName, Standing]:
    """How every gate of the record did at the version that these limits make it."""
    names: tuple[GateName, ...] = get_args(GateName)
    return {
        name: record.standing(name, gate_version(name, gates))
        for name in names
        if name in record.gates
    }


def subject_to_controls(result: GateResult, standing: Standing) -> GateResult:
    """Take the vote from a gate that missed a control; say where a gate was not tried.

    Args:
        result: What the gate answered.
        standing: How it did on its controls, at the same version.
    """
    evidence = {**result.evidence, "controls": standing.to_json()}
    if standing.status != "missed" or result.outcome != "PASS":
        return replace(result, evidence=evidence)
    worst = standing.missed[0]
    return replace(
        result,
        outcome="INCONCLUSIVE",
        reason=(
            f"Cannot vouch: on {standing.date} this gate let through"
            f" {worst.seeds - worst.as_expected} of {counted(worst.seeds, 'case')} with a known"
            f" fault ({worst.control}), so its PASS means nothing until that is mended. It"
            f" measured: {result.reason}"
        ),
        evidence=evidence,
    )
