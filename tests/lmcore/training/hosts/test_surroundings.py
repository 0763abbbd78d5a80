"""What launchers set is read alike, and what is missing is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.errors import ConfigError
from lmcore.lifeline import STORE_VARIABLE
from lmcore.training.hosts.addresses import Endpoint
from lmcore.training.hosts.surroundings import find_meeting, read_surroundings

LAUNCHERS = {
    "torchrun": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "srun": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
    "pod": ("PET_NODE_RANK", "PET_NNODES", None),
}
MASTER = {"MASTER_ADDR": "node1", "MASTER_PORT": "29500"}


@given(
    launcher=st.sampled_from(sorted(LAUNCHERS)),
    size=st.integers(2, 1024),
    data=st.data(),
    pet=st.booleans(),
)
def test_every_launcher_says_the_same(
    launcher: str, size: int, data: st.DataObject, pet: bool
) -> None:
    rank = data.draw(st.integers(0, size - 1))
    local = data.draw(st.integers(0, rank)) if launcher != "pod" else 0
    values = (str(rank), str(size), str(local))
    names = LAUNCHERS[launcher]
    environ = {name: value for name, value in zip(names, values, strict=True) if name}
    environ |= {f"PET_{name}" if pet else name: value for name, value in MASTER.items()}
    here = read_surroundings(environ)
    assert (here.rank, here.size, here.local_rank) == (rank, size, local)
    assert here.meeting == Endpoint(host="node1", port=29500)
    assert not here.served


@given(st.dictionaries(st.sampled_from([n for l in LAUNCHERS.values() for n in l if n]), st.text()))  # noqa: E741
def test_any_environment_is_read_or_named(environ: dict[str, str]) -> None:
    try:
        here = read_surroundings({**environ, **MASTER})
    except ConfigError:
        return
    assert 0 <= here.rank < here.size


def test_torchrun_inside_of_a_slurm_step_counts() -> None:
    environ = {"RANK": "3", "WORLD_SIZE": "4", "SLURM_PROCID": "1", "SLURM_NTASKS": "2", **MASTER}
    assert read_surroundings(environ).rank == 3


def test_the_agent_of_torchrun_serves_a_store_and_counts_its_starts() -> None:
    environ = {"RANK": "0", "WORLD_SIZE": "2", **MASTER, "TORCHELASTIC_USE_AGENT_STORE": "True"}
    first = read_surroundings({**environ, "TORCHELASTIC_RESTART_COUNT": "0"})
    again = read_surroundings({**environ, "TORCHELASTIC_RESTART_COUNT": "1"})
    assert first.served
    assert again.served
    assert first.group != again.group


def test_our_agent_serves_at_its_own_address() -> None:
    environ = {"RANK": "0", "WORLD_SIZE": "2", **MASTER, STORE_VARIABLE: "[fd00::1]:29400"}
    here = read_surroundings(environ)
    assert here.meeting == Endpoint(host="fd00::1", port=29400)
    assert (here.served, here.group) == (True, "29500")


def test_an_ipv6_master_needs_no_brackets() -> None:
    for address in ("fd00::1", "[fd00::1]"):
        assert find_meeting({"MASTER_ADDR": address}) == Endpoint(host="fd00::1", port=29400)
    assert find_meeting({}) is None


def test_one_alone_has_nobody_to_meet() -> None:
    assert read_surroundings({"RANK": "0", "WORLD_SIZE": "1"}).meeting is None


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "no launcher has said which rank this is; start it by torchrun"),
        ({"RANK": "0"}, "WORLD_SIZE is not set; expected a whole number"),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, "RANK='-1'; expected a whole number"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK=2, but WORLD_SIZE=2; expected a lower"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, "WORLD_SIZE=2, but MASTER_ADDR is not set"),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, "SLURM_NTASKS=2, but MASTER_ADDR"),
        (
            {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "x"},
            "MASTER_PORT='x'; expected a whole number",
        ),
        (
            {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a b"},
            "MASTER_ADDR and MASTER_PORT: 'a b:29400' is no address",
        ),
        (
            {"PET_NODE_RANK": "0", "PET_NNODES": "2", "PET_NPROC_PER_NODE": "auto"},
            "PET_NPROC_PER_NODE=auto: this is one process; start torchrun",
        ),
    ],
)
def test_what_is_missing_is_named(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_surroundings(environ)
