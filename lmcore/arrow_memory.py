"""Where Arrow takes its memory from.

By default it is a heap of Arrow's own, which keeps for itself what was freed in it.  A process that
reads tables and does much else pays for two heaps (`docs/experiments.md`).
"""

from __future__ import annotations

import pyarrow as pa


def share_memory() -> None:
    """Let Arrow take its memory from where all of the process does, from now on."""
    pa.set_memory_pool(pa.system_memory_pool())
