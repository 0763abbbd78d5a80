"""Ways to spoil the training text of a control; its validation text stays as it is.

In comes a bench, out come documents of a corpus whose train and tune sides are damaged, token
by token of the healthy tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lmcore.controls.bench import ControlBench, make_document
from lmcore.data.documents import Document

Ids = NDArray[np.int64]


def shuffled(bench: ControlBench) -> list[Document]:
    """The corpus with the tokens of each train document in random order."""
    rng = np.random.default_rng([bench.seed, 1])
    return _damaged(bench, rng.permutation)


def with_noise(bench: ControlBench, *, share: float) -> list[Document]:
    """The corpus with a share of train tokens replaced by others, drawn as often as they occur."""
    rng = np.random.default_rng([bench.seed, 2])
    stream = bench.sound.shards.stream("train")
    tokens = stream.read(0, len(stream))
    tokens = tokens[tokens != stream.end_id]

    def damage(ids: Ids) -> Ids:
        hit = rng.random(len(ids)) < share
        return np.where(hit, rng.choice(tokens, len(ids)), ids)

    return _damaged(bench, damage)


def repeated(documents: Sequence[Document], *, times: int) -> list[Document]:
    """Copies of train documents under ids of their own, as where nobody looked for duplicates."""
    return [
        make_document(document.text, id=f"{document.id[:56]}{copy:08d}", cluster=document.cluster)
        for copy in range(times)
        for document in documents
    ]


def _damaged(bench: ControlBench, damage: Callable[[Ids], Ids]) -> list[Document]:
    tokenizer = bench.sound.loaded
    found = []
    for document in bench.corpus:
        if document.split == "validation":
            found.append(document)
            continue
        ids = np.asarray(tokenizer.encode(document.text), dtype=np.int64)
        text = tokenizer.decode(damage(ids).tolist())
        found.append(make_document(text, split=document.split, cluster=document.cluster))
    return found
