"""What the C library keeps of the memory that was freed: more in a training, less in a server.

glibc gives blocks of 32 MB and more back to the system as soon as they are freed, and takes them
from it again in the next step of a training, to be zeroed page by page.  The logits of a large
vocabulary are such blocks: 140,000 pages a step of SmolLM2-135M, a tenth of its time.  Smaller
blocks it keeps, for each thread apart: what importing, loading and earlier requests freed, which a
server does not need again (both: `docs/experiments.md`).  Nothing happens with another library
than glibc.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

# Of `mallopt(3)`.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_INT_MAX = 2**31 - 1
# Whatever is set ends the library's own adjusting; this is how far that goes.
_LARGEST_MMAP_THRESHOLD = 32 << 20
_DEFAULT_MMAP_MAX = 65_536


@contextlib.contextmanager
def heap_kept() -> Iterator[None]:
    """Inside, freed memory stays with the process; behind it what is free goes back."""
    library = _glibc()
    if library is None:
        yield
        return
    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, _INT_MAX)
    try:
        yield
    finally:
        library.mallopt(_MMAP_MAX, _DEFAULT_MMAP_MAX)
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        library.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_MMAP_THRESHOLD)
        library.malloc_trim(0)


def return_free_memory() -> None:
    """What is free now goes back to the system."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 (asking for a symbol is what tells)
    except (OSError, AttributeError, TypeError):
        return None
    return library
