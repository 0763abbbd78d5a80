"""What a step frees stays for the next one, and goes back behind the training and in servers."""

from __future__ import annotations

import ctypes
import resource
import subprocess
import sys
from typing import Any

import pytest

from lmcore import heap
from lmcore.heap import heap_kept, return_free_memory, share_heap

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


# What sixteen threads have allocated from, and what is resident before and after a return.
SERVER = f"""
import ctypes, resource, sys, tempfile, threading
from lmcore.heap import return_free_memory, share_heap
library = ctypes.CDLL(None)
library.malloc.restype = library.fopen.restype = ctypes.c_void_p
library.free.argtypes = library.fclose.argtypes = [ctypes.c_void_p]
library.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * {PAGE}

if sys.argv[1] == "shared":
    share_heap()
ready = threading.Barrier(16)
def allocate():
    ready.wait()
    library.free(library.malloc(1000))
    ready.wait()
threads = [threading.Thread(target=allocate) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
with tempfile.NamedTemporaryFile() as file:
    stream = library.fopen(file.name.encode(), b"w")
    library.malloc_info(0, stream)
    library.fclose(stream)
    arenas = open(file.name).read().count("<heap nr=")
blocks = [library.malloc(10_000) for _ in range(10_000)]
for block in blocks: ctypes.memset(block, 1, 10_000)
for block in blocks[:-1]: library.free(block)  # the last one keeps the rest from going by itself
held = resident()
return_free_memory()
print(arenas, held, resident())
"""

with_glibc = pytest.mark.skipif(heap._glibc() is None, reason="another library of C than glibc")


@with_glibc
def test_a_server_takes_from_few_places_and_gives_back_what_is_free() -> None:
    found = {}
    for way in ("shared", "apart"):
        done = subprocess.run(
            [sys.executable, "-c", SERVER, way], capture_output=True, text=True, check=True
        )
        found[way], held, left = map(int, done.stdout.split())
        assert left < held - 90_000_000
    assert found["shared"] <= 2 < found["apart"]


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
        share_heap()
        return_free_memory()
