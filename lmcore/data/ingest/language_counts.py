"""The languages of a corpus: documents and bytes of each, and what nobody asked for.

In: documents, one after the other.  Out: JSON values for the ledger, and sentences on mixtures.
Texts and targets (translations, summaries) are counted apart.  Of a large corpus a sample is
looked at, chosen by the documents' ids, so that it is even whatever order they come in.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lmcore.data.ingest.known_languages import key_of
from lmcore.data.ingest.mapped_columns import Bytes, first_words
from lmcore.data.language_codes import UNDETERMINED, counts_as
from lmcore.data.text.languages import MAX_CHARACTERS, identifier
from lmcore.worker_thread import WorkerThread

# Of the bytes: from here on a second language is remarked on where none was asked for, ...
_MIXED_SHARE = 0.05
# ... and any that is not among those that were asked for.
_STRANGE_SHARE = 0.01
# Documents that are looked at: then a share of 1 % is known within 0.15 %, one of 5 % within 0.3 %.
_MAX_DOCUMENTS = 20_000
_KINDS = ("texts", "targets")
# Told together; a few megabytes of text.
_PENDING = 2_048


class LanguageCounts:
    """Counts languages while documents are written.

    Args:
        num_documents: How many will come, about.
        asked_for: Codes of the languages that the text should be in; None: nobody said.
        known: Languages that were told before (`lmcore.data.ingest.known_languages`).

    Attributes:
        languages: The same of all that was looked at, once `to_json` was called.
    """

    def __init__(
        self,
        num_documents: int,
        *,
        asked_for: Sequence[str] | None,
        known: Mapping[bytes, str] | None = None,
    ) -> None:
        share = min(1.0, _MAX_DOCUMENTS / max(1, num_documents))
        self._below = int(share * 2**64)
        self._asked_for = asked_for
        self._known = known or {}
        self._come = 0
        self._pending: dict[str, list[tuple[bytes, str, int]]] = {kind: [] for kind in _KINDS}
        self._found: dict[str, dict[str, list[int]]] = {kind: {} for kind in _KINDS}
        self._thread, self._counting = WorkerThread(), threading.Lock()
        self.languages: dict[bytes, str] = {}

    def add(self, identity: bytes, text: str, target: str | None = None) -> None:
        """Count a document, if it is of the sample.

        Args:
            identity: Its id, a hash.
            text: Its text.
            target: Its translation, summary or label.
        """
        self._come += 1
        if int.from_bytes(identity[:8], "big") < self._below:
            self._look_at("texts", identity, text)
            if target is not None:
                self._look_at("targets", None, target)

    def knows(self, identities: Bytes) -> bool:
        """Whether no text is needed to count documents.

        Args:
            identities: Their ids, shape [documents, bytes].
        """
        return all(identities[place].tobytes() in self._known for place in self._drawn(identities))

    def add_all(
        self,
        identities: Bytes,
        sizes: npt.NDArray[np.int64],
        texts: pa.ChunkedArray | None,
        targets: pa.ChunkedArray,
    ) -> None:
        """Count several documents; no text becomes an object of Python that is not looked at.

        Args:
            identities: Their ids, shape [documents, bytes].
            sizes: Bytes of their texts, shape [documents].
            texts: Their texts; None: their languages are known.
            targets: Their targets.
        """
        self._come += len(identities)
        for place in self._drawn(identities):
            identity = identities[place].tobytes()
            if (code := self._known.get(identity)) is not None:
                self._count("texts", identity, code, int(sizes[place]))
            else:
                assert texts is not None, identity.hex()
                self._look_at("texts", identity, texts[place].as_py())
            if (target := targets[place].as_py()) is not None:
                self._look_at("targets", None, target)

    def _drawn(self, identities: Bytes) -> list[int]:
        """Places of those that are of the sample."""
        if self._below == 2**64:
            return list(range(len(identities)))
        return np.flatnonzero(first_words(identities) < np.uint64(self._below)).tolist()

    def _look_at(self, kind: str, identity: bytes | None, written: str) -> None:
        size = len(written) if written.isascii() else len(written.encode())
        beginning = written[:MAX_CHARACTERS]
        key = key_of(beginning) if identity is None else identity
        if (code := self._known.get(key)) is not None:
            self._count(kind, key, code, size)
        else:
            self._pending[kind].append((key, beginning, size))
        if len(self._pending[kind]) >= _PENDING:
            self._tell()

    def _tell(self) -> None:
        """Have what has come told in a thread, one batch at a time."""
        pending, self._pending = self._pending, {kind: [] for kind in _KINDS}
        self._thread.hand_over(self._told, pending)

    def _told(self, several: Mapping[str, Sequence[tuple[bytes, str, int]]]) -> None:
        for kind, pending in several.items():
            codes = identifier().languages([text for _, text, _ in pending]) if pending else ()
            for code, (key, _, size) in zip(codes, pending, strict=True):
                self._count(kind, key, code, size)

    def _count(self, kind: str, key: bytes, code: str, size: int) -> None:
        with self._counting:  # the thread counts what it told
            counted = self._found[kind].setdefault(code, [0, 0])
            counted[0] += 1
            counted[1] += size
            self.languages[key] = code

    def to_json(self) -> dict[str, Any]:
        """Documents looked at, documents and bytes by language (most first), and remarks."""
        self._tell()
        self._thread.close()
        kinds = {kind: _ordered(found) for kind, found in self._found.items()}
        # Labels of classes are too short to be in a language.
        if set(kinds["targets"]) <= {UNDETERMINED}:
            del kinds["targets"]
        looked_at = sum(entry["documents"] for entry in kinds["texts"].values())
        return {
            "documents": self._come,
            "looked_at": looked_at,
            **kinds,
            "asked_for": None if self._asked_for is None else list(self._asked_for),
            "remarks": [
                remark
                for kind, found in kinds.items()
                for remark in remarks(found, asked_for=self._asked_for, of=kind)
            ],
        }


def remarks(
    found: Mapping[str, Mapping[str, int]], *, asked_for: Sequence[str] | None, of: str
) -> list[str]:
    """What is odd about the languages of a corpus, a sentence each.

    Args:
        found: Documents and bytes by language, most first.
        asked_for: What it should be in; None: nobody said, so one language is expected.
        of: What was looked at: texts or targets.
    """
    total, documents = (sum(e[key] for e in found.values()) for key in ("bytes", "documents"))
    shares = {code: entry["bytes"] / total for code, entry in found.items() if code != UNDETERMINED}
    if not shares:
        return []
    if asked_for is None:
        main = next(iter(shares))
        odd = {c: s for c, s in shares.items() if s >= _MIXED_SHARE and c != main}
        beside = f"beside {main} ({_percent(shares[main])})"
        meant = f"data.languages: [{', '.join([main, *odd])}]"
    else:
        listed = {counts_as(code) for code in asked_for}
        odd = {c: s for c, s in shares.items() if s > _STRANGE_SHARE and c not in listed}
        beside = f"although data.languages names {', '.join(asked_for)}"
        meant = f"data.languages: [{', '.join([*asked_for, *odd])}]"
    if not odd:
        return []
    told = ", ".join(
        f"{code} ({_percent(share)} of the bytes, {found[code]['documents']:,} of {documents:,})"
        for code, share in odd.items()
    )
    return [f"{of} are also in {told}, {beside}; leave them out, or set {meant}"]


def _ordered(found: Mapping[str, Sequence[int]]) -> dict[str, dict[str, int]]:
    rows = sorted(found.items(), key=lambda item: (-item[1][1], item[0]))
    return {code: {"documents": documents, "bytes": size} for code, (documents, size) in rows}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
