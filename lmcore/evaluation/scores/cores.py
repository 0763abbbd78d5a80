"""Work on several cores, each with lanes of its own.

In: workers, each of which reads or writes some lanes bit by bit.  Out: all of them at their end.

Cores that share the products of one worker wait for each other at each of them, a hundred times a
chunk in a recurrence.  While another process holds one core, the other one waits as well: scoring
takes ten times as long, where cores that share nothing lose what the other process takes
(docs/experiments.md).  So a model that is read apart (`Reading.apart`) has one thread a worker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

import torch

from lmcore.model.language_model import LanguageModel

# Between two answers to who waits; also how soon a finished worker is noticed at the latest.
_SECONDS = 0.25


def cores_for(model: LanguageModel, lanes: int) -> int:
    """How many cores work apart, at least one."""
    if not model.reading.apart or model.device.type != "cpu":
        return 1
    return max(1, min(torch.get_num_threads(), lanes))


def work_apart(
    workers: Sequence[Iterator[int]],
    *,
    model: LanguageModel,
    of: int,
    on_done: Callable[[float], None] | None = None,
) -> None:
    """Exhaust all workers, without gradients and in the precision of the model.

    An error of a worker, or what a signal raises here meanwhile, ends all of them at their next
    answer.  They are started in their order, and what they do must not depend on each other.

    Args:
        workers: Each yields how many tokens it is done with since it last did.
        model: What they work with.
        of: Tokens of all.
        on_done: Told the share that is done; in the thread of the caller.
    """
    device = model.device.type
    done = [0] * len(workers)
    left = threading.Event()

    def told() -> None:
        if on_done is not None:
            on_done(sum(done) / max(of, 1))

    def exhaust(index: int, tell: Callable[[], None]) -> None:
        with torch.inference_mode(), torch.autocast(device, enabled=False):
            for tokens in workers[index]:
                done[index] += tokens
                if left.is_set():
                    return
                tell()

    def alone(index: int) -> None:
        torch.set_num_threads(1)  # of this thread, and of threads to come
        exhaust(index, lambda: None)

    cores, threads = cores_for(model, len(workers)), torch.get_num_threads()
    try:
        if cores == 1:
            if model.reading.apart:
                torch.set_num_threads(1)
            for index in range(len(workers)):
                exhaust(index, told)
            return
        with ThreadPoolExecutor(max_workers=cores) as pool:
            try:
                going: set[Future[None]] = {pool.submit(alone, i) for i in range(len(workers))}
                while going:
                    ended, going = wait(going, timeout=_SECONDS, return_when=FIRST_EXCEPTION)
                    for worker in ended:
                        worker.result()
                    told()
            finally:
                left.set()
                for worker in going:
                    worker.cancel()
    finally:
        torch.set_num_threads(threads)
