"""A bench of controls, made once."""

from collections.abc import Iterator

import pytest
import torch

from lmcore.controls.bench import ControlBench


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Models this small are slower on two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> ControlBench:
    """The bench of seed 0."""
    return ControlBench(seed=0, folder=tmp_path_factory.mktemp("bench"))
