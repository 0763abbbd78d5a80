"""Whether a text is like those that a task learnt from; one in another language is not.

A model answers whatever it is given, in a language that it never read as well, and its answer does
not show that.  How rare the tokens of a text are in the training text, in nats a byte, does: words
of another language come in many short pieces, and rare ones.  The limit is what all but one in a
thousand training texts keep to.

Legend: V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lmcore.errors import IntegrityError

FAMILIARITY_FILE = "familiarity.safetensors"
# So few tokens say nothing about a language.
_MIN_TOKENS = 5
_QUANTILE = 0.999
# Added to the count of each token.
_SMOOTHING = 0.5

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Familiarity:
    """How frequent tokens are in the training text, and how rare those of a text may be.

    Attributes:
        nats: Of each token by its share of the training text, float32 [V].
        sizes: Bytes that each token stands for, float32 [V].
        limit: Nats a byte that nearly all training texts keep to.
    """

    nats: npt.NDArray[np.float32]
    sizes: npt.NDArray[np.float32]
    limit: float

    @staticmethod
    def of(texts: Sequence[Ids], pieces: Sequence[bytes]) -> Familiarity:
        """Count tokens of training texts.

        Args:
            texts: Their tokens.
            pieces: Bytes of each token, [V].
        """
        every = np.concatenate([*texts, np.zeros(0, np.int32)])
        counts = np.bincount(every, minlength=len(pieces)) + _SMOOTHING
        found = Familiarity(
            nats=-np.log(counts / counts.sum()).astype(np.float32),
            sizes=np.array([len(piece) for piece in pieces], dtype=np.float32),
            limit=float("inf"),
        )
        rates = [found.rarity(text) for text in texts if len(text) >= _MIN_TOKENS]
        limit = float(np.quantile(rates, _QUANTILE)) if rates else float("inf")
        return Familiarity(nats=found.nats, sizes=found.sizes, limit=limit)

    def rarity(self, text: Ids) -> float:
        """Nats a byte of the tokens of a text."""
        return float(self.nats[text].sum() / max(1.0, self.sizes[text].sum()))

    def unlike(self, text: Ids) -> bool:
        """Whether a text is surely unlike those that were learnt from."""
        return len(text) >= _MIN_TOKENS and self.rarity(text) > self.limit

    def write(self, folder: Path) -> None:
        """Write it into a folder of weights."""
        tensors: dict[str, npt.NDArray[Any]] = {
            "nats": self.nats,
            "sizes": self.sizes,
            "limit": np.array([self.limit]),
        }
        save_file(tensors, folder / FAMILIARITY_FILE)

    @staticmethod
    def read(folder: Path, *, vocab_size: int) -> Familiarity | None:
        """Read it from a folder of weights; None where an earlier version wrote none.

        Args:
            folder: The folder.
            vocab_size: V, of the tokenizer.

        Raises:
            IntegrityError: If the file is unreadable, or of another vocabulary.
        """
        path = folder / FAMILIARITY_FILE
        if not path.exists():
            return None
        try:
            tensors = load_file(path)
            nats, sizes, limit = (tensors[name] for name in ("nats", "sizes", "limit"))
            if not nats.shape == sizes.shape == (vocab_size,) or limit.shape != (1,):
                raise ValueError(f"{nats.shape} values for a vocabulary of {vocab_size}")
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            reason = str(error).replace("\n", " ")[:200]
            raise IntegrityError(
                f"{path}: cannot be read ({type(error).__name__}: {reason}); nothing was loaded."
                " Restore the folder or train again"
            ) from error
        return Familiarity(nats=nats, sizes=sizes, limit=float(limit[0]))
