"""The gate `instrument` of tasks notices what gives an answer away."""

import pytest

from lmcore.controls.bench import ControlBench
from lmcore.controls.control import Control
from lmcore.controls.tasks.instrument import CONTROLS
from lmcore.tasks.gates.instrument import own_label_share


def test_texts_that_name_their_own_label_are_noticed() -> None:
    own, other = own_label_share(
        ["pos : fine", "neg : dull", "pos !", "nothing"], ["pos", "neg", "pos", "neg"]
    )
    assert (own, other) == (0.75, 0.0)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_the_gate_tells_broken_from_sound(control: Control, tmp_path) -> None:
    result = control.run(ControlBench(seed=1, folder=tmp_path))
    assert control.as_expected(result), result.reason
