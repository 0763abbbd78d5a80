"""Cut much text into tokens, on all cores where that pays.

In: batches of texts.  Out: their ids, in the same order.  Who cut a batch changes nothing.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import methodcaller
from pathlib import Path
from typing import Any

from lmcore.data.tokens.tokenizer import Tokenizer, load_tokenizer
from lmcore.data.tokens.vocabularies import BpeTokenizer
from lmcore.data.tokens.word_cache import Ids
from lmcore.errors import SourceError
from lmcore.worker_processes import handed_over, worker_processes

#: Cuts batches of texts, in order.
Cutter = Callable[[Iterable[Sequence[str]]], Iterator[list[Ids]]]
#: Bytes below which the start of further processes costs more than they cut.
WORTH_BYTES = 32 << 20
# Batches that wait beside those that are cut, so that no process stands still.
_AHEAD = 2
# Of a process that cuts.
_tokenizer: Tokenizer | None = None


def cut_here(tokenizer: Tokenizer) -> Cutter:
    """What cuts one batch after the other, in this process."""
    return functools.partial(map, tokenizer.encode_arrays)


@contextlib.contextmanager
def cutter_for(tokenizer: Tokenizer, *, folder: Path, num_bytes: int) -> Iterator[Cutter]:
    """What cuts so much text: this process, or as many as there are cores.

    Args:
        tokenizer: As this process has loaded it.
        folder: Where other processes load it from.
        num_bytes: Of text, about.

    Raises:
        SourceError: If a process is ended from outside.
    """
    cores = len(os.sched_getaffinity(0))
    # The other kinds are fast, or use all cores by themselves.
    if cores < 2 or num_bytes < WORTH_BYTES or not isinstance(tokenizer, BpeTokenizer):
        yield cut_here(tokenizer)
        return
    with worker_processes(cores, _begin, folder, ended=_ended) as workers:
        yield functools.partial(_cut_by, workers, cores + _AHEAD)


def _cut_by(workers: Any, ahead: int, batches: Iterable[Sequence[str]]) -> Iterator[list[Ids]]:
    submit = functools.partial(workers.submit, _cut)
    return map(methodcaller("result"), handed_over(submit, batches, ahead=ahead))


def _begin(folder: Path) -> None:
    global _tokenizer
    _tokenizer = load_tokenizer(folder)


def _cut(batch: Sequence[str]) -> list[Ids]:
    assert _tokenizer is not None
    return _tokenizer.encode_arrays(batch)


def _ended(why: str) -> SourceError:
    return SourceError(
        "a process that cut text into tokens was ended from outside (the system does that when"
        f" memory is short); the documents are kept, and the same command goes on ({why})"
    )
