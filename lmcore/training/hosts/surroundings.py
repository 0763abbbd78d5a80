"""Which rank this process is: the environments of launchers, read in one place.

torchrun sets RANK, WORLD_SIZE, LOCAL_RANK; Slurm's srun sets SLURM_PROCID, SLURM_NTASKS and
SLURM_LOCALID; a Kubernetes TrainJob with one process a pod sets PET_NODE_RANK and PET_NNODES.
Ranks meet at MASTER_ADDR and MASTER_PORT, or PET_MASTER_ADDR and PET_MASTER_PORT.

A process that torchrun started inside of the other two has its names too, and they count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lmcore.errors import ConfigError
from lmcore.lifeline import STORE_VARIABLE
from lmcore.training.hosts.addresses import DEFAULT_PORT, Endpoint

_RANKS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("PET_NODE_RANK", "PET_NNODES", None),
    ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
)
_MASTERS = (("MASTER_ADDR", "MASTER_PORT"), ("PET_MASTER_ADDR", "PET_MASTER_PORT"))


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What its launcher tells a process.

    Attributes:
        rank: Its number among all.
        size: Number of processes on all hosts.
        local_rank: Its number among those of its host: its device.
        meeting: Where the ranks meet; None: one alone has no need.
        served: Whether somebody else, and not rank 0, listens there.
        group: Sets keys of one start apart from those of another on the same store.
    """

    rank: int
    size: int
    local_rank: int
    meeting: Endpoint | None
    served: bool = False
    group: str = ""


def read_surroundings(environ: Mapping[str, str]) -> Surroundings:
    """Read what a launcher has set.

    Raises:
        ConfigError: If that is nothing, not whole, or makes no sense.
    """
    names = next((names for names in _RANKS if names[0] in environ), None)
    if names is None:
        raise ConfigError(
            "no launcher has said which rank this is; start it by torchrun, srun or a TrainJob,"
            " or set RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT"
        )
    rank, size = _number(environ, names[0]), _number(environ, names[1])
    local = _number(environ, names[2]) if names[2] and names[2] in environ else 0
    if not rank < size:
        raise ConfigError(f"{names[0]}={rank}, but {names[1]}={size}; expected a lower one")
    if names[0] == "PET_NODE_RANK" and environ.get("PET_NPROC_PER_NODE", "1") != "1":
        raise ConfigError(
            f"PET_NPROC_PER_NODE={environ['PET_NPROC_PER_NODE']}: this is one process; start"
            " torchrun -m lmcore.training.worker in each pod, which starts that many"
        )
    meeting = None
    if size > 1 or STORE_VARIABLE in environ:
        meeting = find_meeting(environ)
        if meeting is None:
            raise ConfigError(
                f"{names[1]}={size}, but MASTER_ADDR is not set; set it to the address of the host"
                " of rank 0"
            )
    group, served = "", STORE_VARIABLE in environ
    if served:
        # torchrun draws this port anew each time that it starts its ranks.
        group = environ.get("MASTER_PORT", "")
    elif environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        group, served = environ.get("TORCHELASTIC_RESTART_COUNT", "0"), True
    return Surroundings(
        rank=rank, size=size, local_rank=local, meeting=meeting, served=served, group=group
    )


def find_meeting(environ: Mapping[str, str]) -> Endpoint | None:
    """Where the environment says that hosts meet; None: it does not say.

    Raises:
        ConfigError: If it is no address.
    """
    if STORE_VARIABLE in environ:
        return Endpoint.parse(environ[STORE_VARIABLE])
    for address, port in _MASTERS:
        if environ.get(address):
            host = environ[address].strip("[]")
            number = _number(environ, port) if port in environ else DEFAULT_PORT
            text = str(Endpoint(host=host, port=number))
            try:
                return Endpoint.parse(text)
            except ValueError as error:
                raise ConfigError(f"{address} and {port}: {error}") from None
    return None


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "")
    if not (text.isascii() and text.isdecimal()):
        found = f"{name}={text[:40]!r}" if name in environ else f"{name} is not set"
        raise ConfigError(f"{found}; expected a whole number from the launcher")
    return int(text)
