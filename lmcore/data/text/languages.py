"""Which language a text is in.

In: texts.  Out: a code of ISO 639 for each.

The model is that of py3langid (BSD-3-Clause; naive Bayes over byte n-grams, Lui and Baldwin
2012), which lies in its package: nothing is fetched.  Its scores are computed here for many texts
at once, several times as fast as one by one; a test holds both equal.  A text has no language
(`und`) with fewer than 20 letters, without any words of a language (code, tables), or where no
language is likelier than all others together.  Some languages count as one
(`lmcore.data.language_codes`).

Cost: up to 0.1 ms a text, and once a process 0.8 seconds and 70 MB for the model.
"""

from __future__ import annotations

import functools
import threading
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lmcore.data.language_codes import UNDETERMINED, counts_as

# Of a text, from its beginning.
MAX_CHARACTERS = 600
MIN_LETTERS = 20
# As likely as all other languages together.
_LEAST = 0.5
_loading = threading.Lock()
# Texts that are looked at together: more do not fit into the caches of a processor.
_BATCH = 256


class Identifier:
    """Tells languages; holds the model."""

    def __init__(self) -> None:
        # The package's own identifier keeps another copy for good where it is asked for a default.
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        model = LanguageIdentifier.from_model_file(MODEL_FILE)
        # By the row of a state and a byte the next state, and where each state's row begins.
        self._next: NDArray[np.integer[Any]] = np.array(model.tk_nextmove)
        self._row = np.array(model.tk_row).astype(np.int64) * 256
        self._feature = np.array(model.tk_output, dtype=np.int32)
        self._weights: NDArray[np.float32] = model.nb_ptc.astype(np.float32)
        self._prior: NDArray[np.float32] = model.nb_pc
        codes = [counts_as(code) for code in model.nb_classes]
        self._codes = sorted(set(codes))
        # Classes of the model by the code that they count as, [classes, codes].
        self._same = np.zeros((len(codes), len(self._codes)), dtype=np.float64)
        self._same[np.arange(len(codes)), [self._codes.index(code) for code in codes]] = 1

    @property
    def codes(self) -> frozenset[str]:
        """What `languages` may answer, beside `und`."""
        return frozenset(self._codes) - {UNDETERMINED}

    def languages(self, texts: Sequence[str]) -> list[str]:
        """The language of each text, or `und`."""
        found = [UNDETERMINED] * len(texts)
        # Texts of a like length are read together.
        parts = {i: _part(text) for i, text in enumerate(texts)}
        rows = sorted((i for i, part in parts.items() if part), key=lambda i: -len(parts[i]))
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            shares = self._shares([parts[i] for i in batch])
            for i, share in zip(batch, shares, strict=True):
                best = int(share.argmax())
                if share[best] >= _LEAST:
                    found[i] = self._codes[best]
        return found

    def _shares(self, parts: Sequence[bytes]) -> NDArray[np.float64]:
        """How likely each code is, [texts, codes]; `parts` come longest first."""
        sizes = np.array([len(part) for part in parts])
        scores = self._counted(self._read(parts, sizes)) @ self._weights + self._prior
        # As py3langid tempers them, so that a long text is not sure of everything.
        scores /= np.sqrt(sizes)[:, None]
        shares = np.exp(scores - scores.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        joined: NDArray[np.float64] = shares @ self._same
        return joined

    def _read(self, parts: Sequence[bytes], sizes: NDArray[np.int64]) -> NDArray[np.int32]:
        """The feature that ends at each byte, or -1, [texts, bytes of the longest]."""
        table = np.zeros((sizes[0], len(parts)), dtype=np.uint8)
        for i, part in enumerate(parts):
            table[: len(part), i] = np.frombuffer(part, dtype=np.uint8)
        states = np.zeros(table.shape, dtype=self._next.dtype)
        state = np.zeros_like(states[0])
        for place, values in enumerate(table):
            state = self._next.take(self._row.take(state) + values)
            states[place] = state
        features = self._feature[states.T]
        features[np.arange(sizes[0]) >= sizes[:, None]] = -1
        return features

    def _counted(self, features: NDArray[np.int32]) -> csr_array:
        """How often each feature occurs in a text, log(1 + n), [texts, features]."""
        features = np.sort(features, axis=1)
        # A run of the same feature begins where it is another one than before.
        begins = np.ones(features.shape, dtype=bool)
        begins[:, 1:] = features[:, 1:] != features[:, :-1]
        rows, places = np.nonzero(begins)
        counts = np.diff(np.append(rows * features.shape[1] + places, features.size))
        found = features[rows, places]
        (kept,) = np.nonzero(found >= 0)
        values = np.log1p(counts[kept].astype(np.float32))
        shape = (len(features), len(self._weights))
        return csr_array((values, (rows[kept], found[kept])), shape=shape)


def identifier() -> Identifier:
    """The one of this process; who asks while it is being loaded waits."""
    with _loading:
        return _loaded()


def load_beside() -> None:
    """Load it in a thread, for who asks later."""
    threading.Thread(target=identifier, daemon=True).start()


@functools.cache
def _loaded() -> Identifier:
    return Identifier()


def _part(text: str) -> bytes:
    """What is read of a text, as the model was trained on it; empty: too little."""
    part = text[:MAX_CHARACTERS]
    # As py3langid does: text in capitals only says little.
    part = unicodedata.normalize("NFC", part.lower() if part.isupper() else part)
    letters = 0
    for letter in filter(str.isalpha, part):
        # From Thai on (Ethiopic, Khmer, Hangul, Kana, Han) a letter says as much as three.
        letters += 3 if letter >= "\u0e00" else 1
        if letters >= MIN_LETTERS:
            return part.encode("utf-8", "replace")
    return b""
