"""What a step frees stays for the next one, and goes back behind the training and in servers."""

from __future__ import annotations

import ctypes
import resource
import subprocess
import sys
from typing import Any

import pytest

from lmcore import heap
from lmcore.heap import heap_kept, return_free_memory

SIZE = 256 << 20
PAGE = resource.getpagesize()

# A process of its own: the settings of its heap are nobody else's.
SCRIPT = f"""
import contextlib, ctypes, gc, resource, sys
from lmcore.heap import heap_kept

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


# What is resident before and after a return, when all but the last block is free.
IDLE = f"""
import ctypes
from lmcore.heap import return_free_memory
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * {PAGE}

blocks = [library.malloc(10_000) for _ in range(10_000)]
for block in blocks: ctypes.memset(block, 1, 10_000)
for block in blocks[:-1]: library.free(block)
held = resident()
return_free_memory()
print(held, resident())
"""

with_glibc = pytest.mark.skipif(heap._glibc() is None, reason="another library of C than glibc")


@with_glibc
def test_what_is_free_between_used_blocks_goes_back_when_it_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", IDLE], capture_output=True, text=True, check=True)
    held, left = map(int, done.stdout.split())
    assert left < held - 90_000_000


@with_glibc
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
        return_free_memory()
