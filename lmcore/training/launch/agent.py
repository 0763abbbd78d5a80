"""`python -m lmcore.training.launch.agent FOLDER PARENT`: torchrun, on a lifeline, on one address.

torchrun on its own would listen on every interface for the length of the training, without a
password: its store cannot be told an address. So the store is made here, on a socket that is
bound to loopback, or to the rendezvous of several hosts, and torchrun and the ranks are told to
use it. In all else this is `torch.distributed.run -m lmcore.training.worker`.

The agents of several hosts start their ranks again together, up to `training.restarts` times, when
a rank fails or a host comes back; the ranks go on from the newest resume point.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lmcore.lifeline import AGENT_VARIABLE, INTERFACE_VARIABLE, STORE_VARIABLE, end_with

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    from lmcore.training.launch.files import Job

# For all hosts to be there, at the beginning and after one was lost.
_JOIN_SECONDS = 3600


def loopback_store() -> TCPStore:
    """Where processes find each other: served by this one, on a free port, to this machine."""
    from lmcore.training.distributed import served_store

    return served_store(socket.create_server(("127.0.0.1", 0)))


def main(folder: Path, *, joins: bool = False, interface: str | None = None) -> int:
    """Start the ranks that this host has of a job and wait for them; 0 if all of them ended well.

    Args:
        folder: Of the launch.
        joins: Whether another host is the first one, and serves the store.
        interface: Of this host, where it has another name than the job says.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    from lmcore.durable import atomic_write
    from lmcore.training.launch.files import LaunchFiles, read_job

    files = LaunchFiles(folder)
    job = read_job(files)
    os.environ[AGENT_VARIABLE] = str(os.getpid())
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # that would be a second, open one
    if interface is not None:
        os.environ[INTERFACE_VARIABLE] = interface
    store: TCPStore | None
    if job.training.hosts == 1:
        store = local = loopback_store()
        meeting = f"{local.host}:{local.port}"
        own = [
            "--max-restarts=0",
            "--local-addr=127.0.0.1",
            "--rdzv-conf=is_host=0",
            f"--rdzv-id={secrets.token_hex(8)}",
        ]
    else:
        store, meeting, own = _of_many(job, joins=joins, interface=interface)
    os.environ[STORE_VARIABLE] = meeting
    try:
        run(  # type: ignore[no-untyped-call]
            parse_args(  # type: ignore[no-untyped-call]
                [
                    f"--nnodes={job.training.hosts}",
                    f"--nproc-per-node={job.training.processes_of_a_host}",
                    *own,
                    "--monitor-interval=0.1",
                    "--rdzv-backend=c10d",
                    f"--rdzv-endpoint={meeting}",
                    "--module",
                    "lmcore.training.worker",
                    str(folder),
                ]
            )
        )
    except ChildFailedError as error:
        codes = {str(rank): failure.exitcode for rank, failure in error.failures.items()}
        if not joins:
            atomic_write(files.exit_codes, json.dumps(codes))
        return 1
    del store  # it was served until here
    return 0


def _of_many(
    job: Job, *, joins: bool, interface: str | None
) -> tuple[TCPStore | None, str, list[str]]:
    """The store if this host serves it, where it is, and what torchrun is told of the hosts."""
    from lmcore.training.distributed import served_store
    from lmcore.training.hosts.addresses import Endpoint, listen, own_address

    assert job.training.rendezvous is not None, "the launcher has found an address"
    meeting = Endpoint.parse(job.training.rendezvous)
    store = None if joins else served_store(listen(meeting))
    own = own_address(meeting, interface or job.training.interface) if joins else meeting.host
    # torchrun numbers hosts in the order of this text. The first is to be the one whose clock and
    # files the parent knows; nobody connects by it, as ranks meet at the store.
    place = f"{1 if joins else 0}-{own}"
    return (
        store,
        str(meeting),
        [
            f"--max-restarts={job.training.restarts}",
            f"--local-addr={place}",
            f"--rdzv-conf=is_host=0,join_timeout={_JOIN_SECONDS}",
            f"--rdzv-id={job.id}",
        ],
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("parent", type=int)
    parser.add_argument("--joins", action="store_true")
    parser.add_argument("--interface")
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    end_with(given.parent)
    sys.exit(main(given.folder, joins=given.joins, interface=given.interface))
