"""What was read before something was removed serves on, where it holds nothing of that.

In: a part and the removals in force.  Out: the folder that an earlier ingest made of the same part
under other removals, as the folder of these.  A removal says of each text whether it stays, and
nothing else, so two folders of one part differ by the texts that were left out.  One takes the
place of another where all that it left out is to be left out, and nothing that it holds is.

Only the text tells the latter, so each text is looked at once more, but neither read from its
source, nor cleaned, masked or sketched.  Files are linked, not copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

from lmcore.data.copies.removal import Removals
from lmcore.data.documents import read_rows
from lmcore.data.ingest.part_task import LEFT_OUT, STEM, Task
from lmcore.errors import IntegrityError
from lmcore.linking import link_or_copy
from lmcore.manifest import Manifest

_KEY = re.compile(r"[0-9a-f]{32}")


def note_made(task: Task) -> None:
    """Note that a folder is made of the part, for ingests under other removals to find."""
    task.variants.parent.mkdir(exist_ok=True)
    # Appended in one piece; a note that is lost or of no folder costs a reading, or a look.
    with task.variants.open("ab") as notes:
        notes.write(f"{task.folder.name}\n".encode())


def take_over(task: Task, folder: Path) -> dict[str, Any] | None:
    """Fill a folder with what an earlier one of the same part holds, if it may take its place.

    Args:
        task: The part, and what must not be used.
        folder: Empty; it is so again where None is returned.

    Returns:
        The summary of the folder.
    """
    removals, ids = task.removals.read(), task.removals.ids()
    seen: list[frozenset[str]] = []
    for path in _earlier(task):
        try:
            manifest = Manifest.read(path)
            left_out = frozenset(manifest.summary[LEFT_OUT])
            # What left out no more than one that will not do holds all that one does.
            if not left_out <= ids or any(left_out <= other for other in seen):
                continue
            _fill(folder, path, manifest)
            if not holds_removed(folder, removals):
                return dict(manifest.summary)
            seen.append(left_out)
        except (IntegrityError, OSError, KeyError):
            pass  # damaged, or just being removed
        for left in folder.iterdir():
            left.unlink()
    return None


def holds_removed(folder: Path, removals: Removals, known: Set[str] = frozenset()) -> bool:
    """Whether a part holds a text that falls under a removal.

    Args:
        folder: Of the part.
        removals: What must not be used.
        known: Ids of texts that must not be used either.
    """
    if not removals and not known:
        return False
    return any(
        identity.hex() in known or removals.match(identity.hex(), text) is not None
        for group in read_rows(folder, columns=("id", "text"), stem=STEM)
        for identity, text in zip(group["id"], group["text"], strict=True)
    )


def _earlier(task: Task) -> Iterator[Path]:
    """Folders that were made of the same part, the newest first."""
    try:
        notes = task.variants.read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return
    for name in dict.fromkeys(reversed(notes)):
        if _KEY.fullmatch(name) and name != task.folder.name:
            path = task.folder.with_name(name)
            if path.is_dir():
                yield path


def _fill(folder: Path, path: Path, manifest: Manifest) -> None:
    """Link the files of a part's folder, and see that they are whole."""
    for name in manifest.files:
        link_or_copy(path / name, folder / name)
    manifest.verify(folder)
