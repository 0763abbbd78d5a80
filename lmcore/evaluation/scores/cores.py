"""Lanes read by several cores, each with lanes of its own.

In: readers, each of which reads some lanes chunk by chunk.  Out: all of them at their end.

Cores that share the products of one reader wait for each other at each of them, a hundred times a
chunk in a recurrence.  While another process holds one core, the other one waits as well: scoring
takes ten times as long, where cores that share nothing lose what the other process takes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

import torch

from lmcore.model.language_model import LanguageModel

# Between two answers to who waits; also how soon a finished reader is noticed at the latest.
_SECONDS = 0.25


def cores_for(model: LanguageModel, lanes: int) -> int:
    """How many cores read apart, at least one: as many as may be used and are kept busy."""
    least = model.reading.lanes_a_core
    if not least or model.device.type != "cpu":
        return 1
    return max(1, min(torch.get_num_threads(), lanes // least))


def read_apart(
    readers: Sequence[Iterator[int]],
    *,
    device: str,
    of: int,
    on_read: Callable[[float], None] | None = None,
) -> None:
    """Exhaust all readers, without gradients and in the precision of the model.

    An error of a reader, or what a signal raises here meanwhile, ends all of them within a chunk.

    Args:
        readers: Each yields how many tokens it has read since it last did.
        device: Where they compute.
        of: Tokens of all.
        on_read: Told the share that is read; in the thread of the caller.
    """
    read = [0] * len(readers)
    left = threading.Event()

    def told() -> None:
        if on_read is not None:
            on_read(sum(read) / max(of, 1))

    def exhaust(index: int, tell: Callable[[], None]) -> None:
        with torch.inference_mode(), torch.autocast(device, enabled=False):
            for tokens in readers[index]:
                read[index] += tokens
                if left.is_set():
                    return
                tell()

    if len(readers) == 1:
        exhaust(0, told)
        return

    def one_core(index: int) -> None:
        torch.set_num_threads(1)  # of this thread, and of threads to come
        exhaust(index, lambda: None)

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(max_workers=len(readers)) as pool:
            try:
                going: set[Future[None]] = {pool.submit(one_core, i) for i in range(len(readers))}
                while going:
                    done, going = wait(going, timeout=_SECONDS, return_when=FIRST_EXCEPTION)
                    for reader in done:
                        reader.result()
                    told()
            finally:
                left.set()
    finally:
        torch.set_num_threads(threads)
