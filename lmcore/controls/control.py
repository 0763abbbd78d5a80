"""A control: one broken or sound case that a gate must tell apart.

In comes a `ControlBench`, which names a seed and holds what the controls of that seed share; out
comes the gate's own `GateResult`.  A control states what it expects beforehand:

* *negative*: something is wrong and the gate must say so;
* *healthy*: nothing is wrong and the gate must let it through.

A gate that misses a negative control may not vote PASS (`lmcore.evaluation.gates.standing`).

A module of controls ends with a tuple `CONTROLS`; one line in
`lmcore.controls.catalogue` makes it part of the matrix:

    def scrubber_off(seed: int) -> GateResult: ...

    CONTROLS = (
        Control(gate="pii", name="scrubber off", kind="negative", run=by_seed(scrubber_off)),
        Control(gate="pii", name="masked text", kind="healthy", run=by_seed(masked_text)),
    )
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lmcore.evaluation.config import GateName
from lmcore.evaluation.gates.result import GateResult, Outcome

if TYPE_CHECKING:
    from lmcore.controls.bench import ControlBench

Kind = Literal["negative", "healthy"]

CHEAP_SECONDS = 0.5
CHEAP_SEEDS = 100
SEEDS = 20


@dataclass(frozen=True, kw_only=True)
class Control:
    """One case, and what its gate must say of it.

    Attributes:
        gate: The gate that is tried.
        name: Of the case, in words; unique for its gate.
        kind: Whether something is wrong.
        run: The case: the gate's answer for the seed of a bench, and for nothing else.
        expects: Outcomes that are right; None: FAIL where something is wrong, else PASS.
        tolerated: Share of seeds that may go wrong before the control counts as missed. Zero for
            what is plainly broken; 0.05 where the case is a matter of chance at that level.
        wanted_seeds: How many seeds the whole matrix runs; None: by the cost.
        cost_seconds: Of one seed on one core, without what the bench shares; for estimates.
    """

    gate: GateName
    name: str
    kind: Kind
    run: Callable[[ControlBench], GateResult]
    expects: frozenset[Outcome] | None = None
    tolerated: float = 0.0
    wanted_seeds: int | None = None
    cost_seconds: float = 1.0

    @property
    def expected(self) -> frozenset[Outcome]:
        """Outcomes that are right."""
        if self.expects is not None:
            return self.expects
        return frozenset({"FAIL"} if self.kind == "negative" else {"PASS"})

    @property
    def seeds(self) -> int:
        """How many seeds the whole matrix runs: more where that is cheap."""
        if self.wanted_seeds is not None:
            return self.wanted_seeds
        return CHEAP_SEEDS if self.cost_seconds <= CHEAP_SECONDS else SEEDS

    def as_expected(self, result: GateResult) -> bool:
        """Whether the gate told the case for what it is."""
        assert result.gate == self.gate, (result.gate, self.gate)
        return result.outcome in self.expected


def by_seed(case: Callable[[int], GateResult]) -> Callable[[ControlBench], GateResult]:
    """Make a control of a case that needs the seed alone, and nothing of the bench."""

    def run(bench: ControlBench) -> GateResult:
        return case(bench.seed)

    return run
