"""`python -m lmcore.training.launch.agent FOLDER PARENT`: torchrun, on loopback and on a lifeline.

torchrun on its own would listen on every interface for the length of the training, without a
password: its store cannot be told an address. So the store is made here, on a socket that is
bound to loopback, and torchrun and the ranks are told to use it. In all else this is
`torch.distributed.run --standalone -m lmcore.training.worker`.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lmcore.lifeline import AGENT_VARIABLE, STORE_VARIABLE, end_with

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]


def loopback_store() -> TCPStore:
    """Where processes find each other: served by this one, on a free port, to this machine."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    host = "127.0.0.1"
    listener = socket.create_server((host, 0))
    return TCPStore(
        host,
        listener.getsockname()[1],
        is_master=True,
        wait_for_workers=False,
        master_listen_fd=listener.detach(),
        use_libuv=False,  # that one cannot take over a socket
    )


def main(folder: Path) -> int:
    """Start the ranks of the job in `folder` and wait for them; 0 if all of them ended well."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    from lmcore.artifacts import atomic_write
    from lmcore.training.launch.files import LaunchFiles, read_job

    files = LaunchFiles(folder)
    os.environ[AGENT_VARIABLE] = str(os.getpid())
    store = loopback_store()
    os.environ[STORE_VARIABLE] = f"{store.host}:{store.port}"
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # that would be a second, open one
    try:
        run(  # type: ignore[no-untyped-call]
            parse_args(  # type: ignore[no-untyped-call]
                [
                    "--nnodes=1",
                    f"--nproc-per-node={read_job(files).processes}",
                    "--max-restarts=0",
                    "--monitor-interval=0.1",
                    "--local-addr=127.0.0.1",
                    "--rdzv-backend=c10d",
                    f"--rdzv-endpoint={store.host}:{store.port}",
                    "--rdzv-conf=is_host=0",
                    f"--rdzv-id={secrets.token_hex(8)}",
                    "--module",
                    "lmcore.training.worker",
                    str(folder),
                ]
            )
        )
    except ChildFailedError as error:
        codes = {str(rank): failure.exitcode for rank, failure in error.failures.items()}
        atomic_write(files.exit_codes, json.dumps(codes))
        return 1
    return 0


if __name__ == "__main__":
    end_with(int(sys.argv[2]))
    sys.exit(main(Path(sys.argv[1])))
