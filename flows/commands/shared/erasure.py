"""Erase what content folders hold of documents that must be forgotten.

In: ids of documents and the removals in force.  Out: the folders that were deleted.  Content
folders never change, so one that holds removed text is deleted as a whole, and with it everything
that was made from it (shards, tokenizers, checkpoints, evaluations, indices): a folder's
manifest names what it was made of.  What is deleted is made again, without the text, when it is
needed; parts of a corpus that hold none of it stay, so that nothing else is read again.  Of what
homes share nothing is left.  Work that a killed run left (staged text among it) goes too, and so do
requests with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Set as AbstractSet
from pathlib import Path

from flows.home.folders import Home
from flows.home.locks import BusyError
from flows.retention.deletion import content_folders, content_lock, delete
from lmcore.data.copies.removal import NOTHING_REMOVED, Removals
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest.earlier_parts import holds_removed
from lmcore.data.ingest.part_keys import PART_KIND
from lmcore.data.requests.lines import Beside, Feedback, Line
from lmcore.data.requests.parts import ASKED, FEEDBACK, seal_now, strike
from lmcore.data.text.cleaning import UnusableTextError, clean, document_id
from lmcore.digests import digest
from lmcore.durable import fsync_directory
from lmcore.manifest import Manifest, strings_in

_LOCK_SECONDS = 2.0
# A server looks every two seconds.
_SEAL_SECONDS = 15.0


def erase(
    home: Home,
    removals: Removals,
    *,
    known: AbstractSet[str] = frozenset(),
    in_force: Removals = NOTHING_REMOVED,
) -> list[Path]:
    """Delete every content folder that holds removed text, or was made from one that does.

    Args:
        home: Whose content, caches and unfinished work.
        removals: What must be forgotten.
        known: Ids of documents that are known to fall under a removal.
        in_force: All removals, earlier ones and those of other homes too: no part of a corpus
            stays that holds a text which falls under one of them.

    Raises:
        BusyError: If another process is making one of the folders, or does not end a file of
            requests; what could be deleted is gone, and the same call goes on.
    """
    folders = dict(content_folders(home))
    parts = _Parts(Removals.of([*removals.entries, *in_force.entries]), known)
    doomed = {
        path
        for path, manifest in folders.items()
        if manifest is None
        or (manifest.kind == PART_KIND and parts.hold(path, manifest))
        or (manifest.kind == DocumentSet.kind and _holds(path, removals, known))
    }
    keys = {manifest.key for path in doomed if (manifest := folders[path]) is not None}
    # Whatever names a doomed folder among its inputs was made from it.
    grown = True
    while grown:
        grown = False
        for path, manifest in folders.items():
            if manifest is None or path in doomed or keys.isdisjoint(strings_in(manifest.inputs)):
                continue
            doomed.add(path)
            keys.add(manifest.key)
            grown = True
    # And what killed processes left half made.
    deleted = [*sorted(doomed), *home.content.glob("*/.*.partial")]
    for path in deleted:
        if not delete(path, lock=content_lock(path), wait_seconds=_LOCK_SECONDS):
            raise BusyError(
                f"{path}: another process is making it; the document is removed from every later"
                " model, but this folder still holds it. Stop that run, and give the command again"
            )
    for folder in [*home.requests.glob(f"*/{ASKED}"), *home.requests.glob(f"*/{FEEDBACK}")]:
        if not seal_now(folder, seconds=_SEAL_SECONDS):
            raise BusyError(
                f"{folder}: a server keeps what is asked there and does not end its file; the"
                " document is removed from every later model, but that file may hold it. Stop the"
                " server, and give the command again"
            )
        strike(folder, lambda line: _tells(line, removals))
    # Versions before they were registered: reports with samples. Resume points hold no text.
    for path in home.work.glob("version-*"):
        delete(path, lock=None)
        deleted.append(path)
    for parent in {path.parent for path in deleted}:
        if parent.is_dir():
            fsync_directory(parent)
    # Other homes may have shared folders that this one knows nothing of; all can be made again.
    if home.shared is not None:
        for area in ("content", "work"):
            home.shared.remove(area)
    return deleted


def _tells(line: Line, removals: Removals) -> bool:
    """Whether something that was asked or answered is what must be forgotten."""
    if isinstance(line, Beside):
        return False
    told = [line.text]
    if isinstance(line, Feedback):
        told += [more for more in (line.output, line.accepted) if more is not None]
        told += [line.text + more for more in told[1:]]
    for text in told:
        with contextlib.suppress(UnusableTextError):
            text = clean(text).text
        if removals.match(document_id(text), text) is not None:
            return True
    return False


def _holds(path: Path, removals: Removals, known: AbstractSet[str]) -> bool:
    documents = DocumentSet(key="", path=path)
    try:
        if any(row["id"] in known for row in documents.iter_rows()):
            return True
        return any(removals.match(d.id, d.text) is not None for d in documents.iter_documents())
    except Exception:  # damaged: nobody will read it again, and nobody knows what is in it
        return True


class _Parts:
    """Looks through the texts of parts; those of the same content once."""

    def __init__(self, removals: Removals, known: AbstractSet[str]) -> None:
        self._removals, self._known = removals, known
        self._found: dict[str, bool] = {}

    def hold(self, path: Path, manifest: Manifest) -> bool:
        """Whether a part holds a text that must be forgotten."""
        content = digest(manifest.files)
        if content not in self._found:
            self._found[content] = self._look(path)
        return self._found[content]

    def _look(self, path: Path) -> bool:
        try:
            return holds_removed(path, self._removals, self._known)
        except Exception:  # damaged, as above
            return True
