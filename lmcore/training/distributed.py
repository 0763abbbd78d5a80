"""One training on many processes: who reads which lanes, and what they do together.

Rank r of N reads rows [r*B/N, (r+1)*B/N) of each batch, so N processes read exactly what
one would. A `World` of one process does nothing at all, so that the loop has one code path.

Numbers that decide something are computed from the same values in the same order on every
rank, or on rank 0 alone, so the ranks never take different ways. They travel through gloo
on CPU tensors of float64, also where the gradients travel through NCCL.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from lmcore.data.tokens.batches import Batch
from lmcore.errors import ConfigError
from lmcore.training.hosts.addresses import Endpoint, interface_of, listen, own_address
from lmcore.training.hosts.surroundings import Surroundings, read_surroundings
from lmcore.training.sharding import all_whole, part_of, shard

# Interfaces that the processes of one machine talk through.
_LOOPBACK = ("lo", "lo0")
_INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


@dataclass(frozen=True, kw_only=True)
class World:
    """The processes of one training, seen from one of them.

    Attributes:
        rank: Number of this process; rank 0 plans, decides, writes and reports.
        size: Number of processes.
        parts_on: Device of the parts where each keeps a part of the weights; None: all of them.
    """

    rank: int = 0
    size: int = 1
    parts_on: str | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    @property
    def looking(self) -> World:
        """Who shares what a look reads; where weights are in parts, each reads all of it."""
        return self if self.parts_on is None else ALONE

    def rows(self, num_lanes: int) -> slice:
        """Lanes of this process; they may be none where there are fewer lanes than processes."""
        return slice(self.rank * num_lanes // self.size, (self.rank + 1) * num_lanes // self.size)

    def share(self, batch: Batch) -> Batch:
        """The own rows of a batch."""
        if self.size == 1:
            return batch
        rows = self.rows(len(batch.inputs))
        weights = None if batch.weights is None else batch.weights[rows]
        return replace(
            batch, inputs=batch.inputs[rows], targets=batch.targets[rows], weights=weights
        )

    def averaging(self, module: nn.Module) -> nn.Module:
        """The same module, whose backward pass leaves the mean gradient of all ranks."""
        if self.size == 1:
            return module
        if self.parts_on is not None:
            return shard(module, ranks=self.size, device=self.parts_on)
        # Without a search for unused parameters the buckets are cut anew after the first step.
        # With three ranks and more the order of a sum depends on its place in a bucket, so a
        # run that was resumed would differ from one that was not.
        return nn.parallel.DistributedDataParallel(module, find_unused_parameters=True)

    def sums(self, *values: float) -> list[float]:
        """Sum of each value over the ranks, the same bits on each."""
        if self.size == 1:
            return list(values)
        parts = [torch.empty(len(values), dtype=torch.float64) for _ in range(self.size)]
        dist.all_gather(parts, torch.tensor(values, dtype=torch.float64))
        return [sum(column) for column in zip(*(part.tolist() for part in parts), strict=True)]

    def means(self, *values: float) -> list[float]:
        """Mean of each value over the ranks, the same bits on each."""
        if self.size == 1:
            return list(values)
        return [total / self.size for total in self.sums(*values)]

    def agree(self, value: float) -> float:
        """Rank 0's value."""
        if self.size == 1:
            return value
        box = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(box, src=0)
        return box.item()

    def agree_text(self, text: str) -> str:
        """Rank 0's text."""
        if self.size == 1:
            return text
        payload = bytearray(text.encode())
        length = int(self.agree(len(payload)))
        box = (
            torch.frombuffer(payload, dtype=torch.uint8)
            if self.leads
            else torch.empty(length, dtype=torch.uint8)
        )
        dist.broadcast(box, src=0)
        return bytes(box.tolist()).decode()

    def gather_lanes(self, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Tensors of all lanes on rank 0, from tensors of the own lanes; nothing elsewhere."""
        if self.size == 1:
            return tuple(tensors)
        whole: list[Tensor] = []
        for tensor in tensors:
            own = tensor.detach().to("cpu").contiguous()
            parts = [torch.empty_like(own) for _ in range(self.size)] if self.leads else None
            dist.gather(own, parts, dst=0)
            if parts is not None:
                whole.append(torch.cat(parts))
        return tuple(whole)

    def whole(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Tensors as one process has them: gathered on rank 0 where each rank keeps a part."""
        return tensors if self.parts_on is None else all_whole(tensors, leads=self.leads)

    def own(
        self, tensors: Mapping[str, Tensor], *, like: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Undo `whole`, given tensors that lie as these are to.

        Args:
            tensors: The same on each rank.
            like: With the same names.
        """
        if self.parts_on is None:
            return tensors
        return {name: part_of(tensor, like=like[name]) for name, tensor in tensors.items()}


ALONE = World()


@contextlib.contextmanager
def process_group(
    device: str, *, interface: str | None = None, job: str | None = None, shards: bool = False
) -> Iterator[World]:
    """Join the processes of this training; the environment says which this one is.

    They meet at the agent's store where our agent started them, not at torchrun's, which is open to
    the network. Ranks of another launcher meet at MASTER_ADDR, where rank 0 listens unless
    torchrun's agent does. The group is not taken down after an error, as that could wait for ranks
    that are gone.

    Args:
        device: `cpu` (gloo), or `cuda` (NCCL, one device a rank).
        interface: Network interface that hosts talk through; None: the one that leads to the
            others, or what the environment names.
        job: What this rank is about to do, which is to be the same on all; None: nobody asks.
        shards: Whether each keeps a part of the weights.

    Raises:
        ConfigError: If the environment does not say it, there is no such interface or device, or
            another rank does another job.
    """
    here = read_surroundings(os.environ)
    if device == "cuda":
        if here.local_rank >= torch.cuda.device_count():
            raise ConfigError(
                f"process {here.local_rank} of {socket.gethostname()} has no CUDA device of its"
                f" own, as torch finds {torch.cuda.device_count()} there; start fewer on a host"
            )
        torch.cuda.set_device(here.local_rank)
    if here.size == 1:
        yield ALONE
        return
    store = _meet(here, interface)
    if job is not None:
        _compare(store, here, job)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo",
        store=store,
        rank=here.rank,
        world_size=here.size,
    )
    yield World(rank=here.rank, size=here.size, parts_on=device if shards else None)
    dist.destroy_process_group()


def served_store(listener: socket.socket) -> TCPStore:
    """A store on a socket that is bound already: torch's own would listen on every interface."""
    host, port = listener.getsockname()[:2]
    return TCPStore(
        host,
        port,
        is_master=True,
        wait_for_workers=False,
        master_listen_fd=listener.detach(),
        use_libuv=False,  # that one cannot take over a socket
    )


def _meet(here: Surroundings, interface: str | None) -> PrefixStore:
    """The store of all ranks; gloo and NCCL are told to use the interface that leads there."""
    assert here.meeting is not None
    leads = here.rank == 0 and not here.served
    meeting = here.meeting.reachable(interface) if leads else here.meeting.resolved()
    _talk_through(meeting, interface)
    if leads:
        store = served_store(listen(meeting))
    else:
        store = TCPStore(meeting.host, meeting.port, is_master=False)
    return PrefixStore(f"ranks{here.group}", store)


def _talk_through(meeting: Endpoint, interface: str | None) -> None:
    """Name the interface to gloo and NCCL, which would guess; what is configured wins."""
    if interface is not None:
        for variable in _INTERFACES:
            os.environ[variable] = interface
        return
    if meeting.is_loopback:
        present = {name for _, name in socket.if_nameindex()}
        chosen = next((name for name in _LOOPBACK if name in present), None)
    else:
        chosen = interface_of(own_address(meeting))
        os.environ.setdefault(
            "NCCL_SOCKET_FAMILY", "AF_INET6" if ":" in meeting.host else "AF_INET"
        )
    if chosen is not None:
        for variable in _INTERFACES:
            os.environ.setdefault(variable, chosen)


def _compare(store: PrefixStore, here: Surroundings, job: str) -> None:
    """Refuse to train beside a rank that does something else."""
    if here.rank == 0:
        store.set("job", job)
    elif (other := store.get("job").decode()) != job:
        raise ConfigError(
            f"{socket.gethostname()} found another training than the first host ({job} instead of"
            f" {other}); all hosts share LMCORE_HOME at the same path"
        )
