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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from lmcore.data.tokens.batches import Batch
from lmcore.lifeline import STORE_VARIABLE

# Interfaces that the processes of one machine talk through.
_LOOPBACK = ("lo", "lo0")


@dataclass(frozen=True, kw_only=True)
class World:
    """The processes of one training, seen from one of them.

    Attributes:
        rank: Number of this process; rank 0 plans, decides, writes and reports.
        size: Number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

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


ALONE = World()


@contextlib.contextmanager
def process_group(device: str) -> Iterator[World]:
    """Join the processes that our agent started; the environment says which this one is.

    They meet at the agent's store, not at torchrun's, which is open to the network, and talk
    through the loopback interface. The group is not taken down after an error, as that could
    wait for ranks that are gone.

    Args:
        device: `cpu` (gloo), or `cuda` (NCCL, one device a rank).
    """
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if size == 1:
        yield ALONE
        return
    present = {name for _, name in socket.if_nameindex()}
    if loopback := next((name for name in _LOOPBACK if name in present), None):
        for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(variable, loopback)
    host, port = os.environ[STORE_VARIABLE].split(":")
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo",
        store=PrefixStore("ranks", TCPStore(host, int(port), is_master=False)),
        rank=rank,
        world_size=size,
    )
    yield World(rank=rank, size=size)
    dist.destroy_process_group()
