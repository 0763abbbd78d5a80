"""Documents that must not be trained on any more, and the append-only list that remembers them.

In: documents that somebody asked to forget.  Out: `Removals`, which ingest asks about each
text: the document itself (by id) and near-copies of it (by sketch) are kept out of every
later document set.

The list is one JSON line a removal (`removals.jsonl`); lines are added and never changed.
It holds a sketch of the text, reason, time and person, but neither the text nor its name, so that
forgetting does not itself keep what was to be forgotten.  A registry may carry the same lines;
both are united by their ids.  The list is kept a second time, under a name that tells its content
(`kept/removals-SHA256.jsonl`): a line that was damaged or lost would let a document back in.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock

from lmcore.counted import counted, named
from lmcore.data.copies.sketches import CopyIndex, Sketch
from lmcore.digests import canonical_json, digest
from lmcore.durable import atomic_write, fsync_directory, storing
from lmcore.errors import IntegrityError
from lmcore.mending import note_mending, set_aside

# All shingles of a removed text up to 24 kB, a sample beyond: finer than what is kept of
# documents that nobody asked to forget, as a missed copy is worse here.
KEPT = 4096
MAX_SHIFT = 16


@dataclass(frozen=True, kw_only=True)
class Removal:
    """One document that must be forgotten.

    Attributes:
        document: Its id.
        sketch: Of its text; None where nothing but the id is known.
        reason: Why, in words.
        who: Person or process that asked.
        at: ISO 8601 time in UTC.
        model: The one model that it concerns; None: all of them.
    """

    document: str
    sketch: Sketch | None
    reason: str
    who: str
    at: str
    model: str | None = None

    @property
    def id(self) -> str:
        """Names the removal: the same document, sketch and model are the same removal."""
        return digest({"document": self.document, "sketch": self._sketch, "model": self.model})

    @property
    def _sketch(self) -> str | None:
        return None if self.sketch is None else base64.b64encode(self.sketch.to_bytes()).decode()

    def to_json(self) -> dict[str, Any]:
        """The line of the list."""
        return {
            "document": self.document,
            "sketch": self._sketch,
            "reason": self.reason,
            "who": self.who,
            "at": self.at,
            "model": self.model,
        }

    @classmethod
    def from_json(cls, raw: Any) -> Removal:
        """What `to_json` gave.

        Raises:
            ValueError: If it is not that.
        """
        try:
            sketch = raw["sketch"]
            return cls(
                document=str(raw["document"]),
                sketch=None if sketch is None else Sketch.from_bytes(base64.b64decode(sketch)),
                reason=str(raw["reason"]),
                who=str(raw["who"]),
                at=str(raw["at"]),
                model=None if raw.get("model") is None else str(raw["model"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no removal ({error})") from error


@dataclass(frozen=True)
class Removals:
    """All removals in force, in the order of their ids."""

    entries: Sequence[Removal] = ()

    @classmethod
    def of(cls, entries: Iterable[Removal]) -> Removals:
        """Each removal once, whoever brought it."""
        unique: dict[str, Removal] = {}
        for entry in sorted(entries, key=lambda e: e.at):
            unique.setdefault(entry.id, entry)
        return cls(tuple(unique[key] for key in sorted(unique)))

    def __len__(self) -> int:
        return len(self.entries)

    def for_model(self, name: str) -> Removals:
        """Those that concern a model."""
        return Removals(tuple(e for e in self.entries if e.model in (None, name)))

    @property
    def digest(self) -> str:
        """Changes when, and only when, a removal is added; empty without any."""
        return digest([entry.id for entry in self.entries]) if self.entries else ""

    @cached_property
    def _by_id(self) -> dict[str, Removal]:
        return {entry.document: entry for entry in self.entries}

    @cached_property
    def _sketched(self) -> tuple[list[Removal], CopyIndex]:
        entries = [entry for entry in self.entries if entry.sketch is not None]
        return entries, CopyIndex([e.sketch for e in entries if e.sketch is not None])

    def by_id(self, document: str) -> Removal | None:
        """The removal of exactly this document."""
        return self._by_id.get(document)

    def match(self, document: str, text: str) -> Removal | None:
        """The removal that a text falls under: it is the document, or a near-copy of it."""
        if not self.entries:
            return None
        if (exact := self._by_id.get(document)) is not None:
            return exact
        entries, index = self._sketched
        found = index.find(text)
        return entries[found[0].index] if found else None


NOTHING_REMOVED = Removals()


def read_removals(path: Path) -> Removals:
    """Read a list of removals; one that does not exist is empty.

    A list that was damaged or lost is put back as it was last written.

    Raises:
        IntegrityError: If a line is damaged, and the list is not kept elsewhere. Nothing may be
            trained then: a removal that cannot be read cannot be kept.
    """
    if not _holds_what_is_kept(path):
        with FileLock(path.with_name(path.name + ".lock")):
            _put_back(path)
    return _read(path)


def _read(path: Path) -> Removals:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return NOTHING_REMOVED
    # What follows the last line end was being written when the power went: nobody was told
    # that it stands.
    lines = raw[: raw.rfind(b"\n") + 1].splitlines()
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(Removal.from_json(json.loads(line)))
        except ValueError as error:
            raise IntegrityError(
                f"{path}: line {number} is no removal ({error}); nothing is trained while a"
                " removal cannot be read. Restore the file from a backup"
            ) from error
    return Removals.of(entries)


def _kept(path: Path) -> bytes | None:
    """The list as it was last kept; None where it never was, or that copy is damaged itself."""
    copies = path.parent.glob(f"kept/{path.stem}-*.jsonl")
    for copy in sorted(copies, key=lambda copy: -copy.stat().st_mtime_ns):
        content = copy.read_bytes()
        if copy.stem.endswith(hashlib.sha256(content).hexdigest()):
            return content
    return None


def _holds_what_is_kept(path: Path) -> bool:
    # First what is kept: lines are added to the list before they are kept.
    kept = _kept(path) or b""
    return not kept or (path.exists() and path.read_bytes().startswith(kept))


def _put_back(path: Path) -> None:
    """Put the list back as it was last kept; the caller holds its lock."""
    kept = _kept(path)
    if kept is None or _holds_what_is_kept(path):
        return
    problem = "it does not hold what was written to it" if path.exists() else "it is missing"
    if path.exists():
        set_aside(path.parent, path)
    atomic_write(path, kept)
    back = len(kept.splitlines())
    remedy = f"its {counted(back, 'removal')} {named(back, 'is', 'are')} in force again"
    note_mending(path.parent, path, problem=problem, remedy=remedy)


def _keep(path: Path) -> None:
    """Keep the list as it is now, without what was kept before."""
    content = path.read_bytes()
    copy = path.parent / "kept" / f"{path.stem}-{hashlib.sha256(content).hexdigest()}.jsonl"
    if not copy.exists():
        atomic_write(copy, content)
    for old in copy.parent.glob(f"{path.stem}-*.jsonl"):
        if old != copy:
            old.unlink(missing_ok=True)


def add_removals(path: Path, entries: Iterable[Removal]) -> Removals:
    """Append what the list does not hold yet; returns all of it.

    Written, synced and never rewritten: a crash leaves whole lines, or a last one without its
    end, which nobody was told of and which is cut off here.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(path.name + ".lock")):
        _put_back(path)
        _cut_torn_line(path)
        known = _read(path)
        have = {entry.id for entry in known.entries}
        new = [entry for entry in Removals.of(entries).entries if entry.id not in have]
        if new:
            with storing(path), path.open("ab") as stream:
                stream.write(b"".join(canonical_json(e.to_json()) + b"\n" for e in new))
                stream.flush()
                os.fsync(stream.fileno())
            fsync_directory(path.parent)
        if known.entries or new:
            with storing(path):
                _keep(path)
        return Removals.of([*known.entries, *new])


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    raw = path.read_bytes()
    if raw and not raw.endswith(b"\n"):
        with path.open("r+b") as stream:
            stream.truncate(raw.rfind(b"\n") + 1)
            os.fsync(stream.fileno())
