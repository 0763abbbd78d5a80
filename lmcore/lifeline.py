"""A process that ends when the one that started it ends, however that was.

Nothing here imports torch: the line has to hold before the seconds that its import takes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time

# Environment variable that tells the ranks the number of their agent.
AGENT_VARIABLE = "LMCORE_TRAINING_AGENT"
# Environment variable that tells the ranks where they find each other: host and port.
STORE_VARIABLE = "LMCORE_TRAINING_STORE"
# Environment variable that tells the ranks of a host its network interface, where it differs.
INTERFACE_VARIABLE = "LMCORE_TRAINING_INTERFACE"

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_SECONDS = 0.5


def end_with(parent: int) -> None:
    """End this process with SIGKILL as soon as its parent is gone.

    On Linux the kernel does it; elsewhere a thread watches. The parent may have gone before
    this call, so its number is compared afterwards.

    Args:
        parent: Number of the process that started this one.
    """
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except AttributeError:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    else:
        if prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
            number = ctypes.get_errno()
            raise OSError(number, f"prctl(PR_SET_PDEATHSIG): {os.strerror(number)}")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
