"""What a step frees stays with the process for the next one, and goes back behind the training."""

from __future__ import annotations

import ctypes
import resource
import subprocess
import sys
from typing import Any

import pytest

from lmcore.training import heap
from lmcore.training.heap import heap_kept

SIZE = 256 << 20
PAGE = resource.getpagesize()

# A process of its own: the settings of its heap are nobody else's.
SCRIPT = f"""
import contextlib, ctypes, gc, resource, sys
from lmcore.training.heap import heap_kept

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        ctypes.memset(ctypes.addressof(block := ctypes.create_string_buffer({SIZE})), 1, {SIZE})
        del block
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * {PAGE}

outside = faults(3)
with heap_kept():
    faults(1)
    inside, held = faults(3), resident()
print(outside, inside, held, resident(), faults(3))
"""


@pytest.mark.skipif(heap._glibc() is None, reason="another library of C than glibc")
def test_a_block_that_was_freed_is_not_given_and_zeroed_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    outside, inside, held, left, after = map(int, done.stdout.split())
    # Some systems give pages of two megabytes: still more than none.
    assert inside < outside / 10
    assert held > SIZE
    assert left < held - SIZE // 2
    assert after > outside / 10


def test_with_another_library_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: Any) -> object:
        return object()

    monkeypatch.setattr(ctypes, "CDLL", none)
    with heap_kept():
        pass
