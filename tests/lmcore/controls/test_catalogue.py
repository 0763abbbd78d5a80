"""The fast part of the control matrix: one seed, the cheapest controls of each gate.

`lmcore controls` runs all of it over many seeds; docs/controls.md has the counts.
"""

from collections.abc import Iterator

import pytest
import torch

from lmcore.controls.bench import MODEL, ControlBench
from lmcore.controls.catalogue import CONTROLS
from lmcore.controls.control import CHEAP_SECONDS, Control
from lmcore.evaluation.config import GatesConfig

pytestmark = pytest.mark.controls


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


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield ControlBench(seed=0, folder=tmp_path_factory.mktemp("bench"))
    torch.set_num_threads(threads)


@pytest.mark.parametrize("control", list(fast()), ids=lambda c: f"{c.gate}: {c.name}")
def test_a_gate_tells_broken_from_sound(bench, control):
    found = control.run(bench)
    assert control.as_expected(found), f"{found.outcome}: {found.reason}"


def test_the_healthy_model_is_small_and_the_same_every_time(bench, tmp_path):
    assert bench.healthy.summary["params"] < 1_000_000
    assert bench.healthy.summary["params"] == bench.healthy_model.num_parameters
    again = ControlBench(seed=0, folder=tmp_path)
    assert again.sound.model == MODEL
    shorter = [w.train(max_steps=3).summary["weights_sha256"] for w in (bench.sound, again.sound)]
    assert shorter[0] == shorter[1]
    other = ControlBench(seed=1, folder=tmp_path)
    assert other.corpus[0].text != bench.corpus[0].text


def test_benches_try_the_gates_with_the_limits_given(bench, tmp_path):
    strict = GatesConfig.model_validate({"competence": {"max_difference_bits_per_byte": -8.0}})
    tried = next(c for c in CONTROLS if (c.gate, c.kind) == ("competence", "healthy"))
    other = ControlBench(seed=0, folder=bench.folder, gates=strict)
    assert tried.run(other).outcome != "PASS"
