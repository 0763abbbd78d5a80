"""The fast part of the control matrix: one seed, the cheapest controls of each gate.

`lmcore controls` runs all of it over many seeds; docs/controls.md has the counts.
"""

from collections.abc import Iterator

import pytest

from lmcore.controls.bench import ControlBench
from lmcore.controls.catalogue import CONTROLS, controls
from lmcore.controls.control import CHEAP_SECONDS, Control
from lmcore.errors import UserError
from lmcore.evaluation.config import GatesConfig

pytestmark = [pytest.mark.controls, pytest.mark.usefixtures("one_thread")]


def fast() -> Iterator[Control]:
    """Every cheap control, and of each gate and kind at least the cheapest one."""
    cheapest: dict[tuple[str, str], Control] = {}
    for control in CONTROLS:
        row = (control.gate, control.kind)
        if row not in cheapest or control.cost_seconds < cheapest[row].cost_seconds:
            cheapest[row] = control
    for control in CONTROLS:
        if control.cost_seconds <= CHEAP_SECONDS or control in cheapest.values():
            yield control


@pytest.mark.parametrize("control", list(fast()), ids=lambda c: f"{c.gate}: {c.name}")
def test_a_gate_tells_broken_from_sound(bench, control):
    found = control.run(bench)
    assert control.as_expected(found), f"{found.outcome}: {found.reason}"


def test_the_healthy_model_is_small(bench):
    assert bench.healthy.summary["params"] < 1_000_000
    assert bench.healthy.summary["params"] == bench.healthy_model.num_parameters


def test_benches_try_the_gates_with_the_limits_given(bench, tmp_path):
    strict = GatesConfig.model_validate({"competence": {"max_difference_bits_per_byte": -8.0}})
    tried = next(c for c in CONTROLS if (c.gate, c.kind) == ("competence", "healthy"))
    other = ControlBench(seed=0, folder=bench.folder, gates=strict)
    assert tried.run(other).outcome != "PASS"


def test_the_catalogue_has_a_negative_and_a_healthy_control_for_each_of_its_gates():
    names = [(control.gate, control.name) for control in CONTROLS]
    assert len(set(names)) == len(names)
    for gate in {control.gate for control in CONTROLS}:
        kinds = {control.kind for control in controls(gate)}
        assert kinds == {"negative", "healthy"}, gate


def test_an_unknown_gate_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="expected one of instrument"):
        controls("nonsense")
