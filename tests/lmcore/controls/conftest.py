"""A bench of controls, made once."""

import pytest

from lmcore.controls.bench import ControlBench


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> ControlBench:
    """The bench of seed 0."""
    return ControlBench(seed=0, folder=tmp_path_factory.mktemp("bench"))
