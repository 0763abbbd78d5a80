"""What a process holds in memory, as Linux counts it in `/proc`."""

from __future__ import annotations

import os
import threading
from pathlib import Path


class Watch:
    """Peak of anonymous memory and of files without a name, sampled by a thread.

    Attributes:
        anonymous: Bytes.
        nameless: Bytes.

    Args:
        every: Seconds between two looks.
    """

    def __init__(self, every: float = 0.02) -> None:
        self._every = every

    def __enter__(self) -> Watch:
        self.anonymous = self.nameless = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stopped.wait(self._every):
            self.anonymous = max(self.anonymous, memory_of(os.getpid())[0])
            self.nameless = max(self.nameless, nameless_bytes())


def nameless_bytes() -> int:
    """Bytes on disk of open files of this process that have no name."""
    total = 0
    for link in Path("/proc/self/fd").glob("*"):
        try:
            if "(deleted)" in str(link.readlink()):
                total += 512 * link.stat().st_blocks
        except OSError:
            continue
    return total


def memory_of(pid: int) -> tuple[int, int]:
    """Bytes of a process that are anonymous and resident, and that count against the limit."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    found = dict(line.split(":", 1) for line in lines)
    return tuple(  # type: ignore[return-value]
        int(found[name].split()[0]) << 10 if name in found else 0 for name in ("RssAnon", "VmData")
    )


def peak_megabytes() -> float:
    """Most memory that this process ever held, in 10^6 bytes.

    From the process's own high-water mark: `ru_maxrss` survives exec, so in a child it would
    report what the parent had.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit("/proc/self/status has no VmHWM; this benchmark needs Linux")
