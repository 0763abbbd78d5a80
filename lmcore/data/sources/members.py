"""The parts of a file that are read: the file itself, or those members of an archive that count.

In: a file and the pattern of its source.  Out: each member with the reason why it is left out, if
it is.  The run, its counting of texts and a look at a file ask here, so they mean the same members.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from lmcore.data.sources.archives import Member, container, open_members
from lmcore.data.sources.find_files import is_chat_export, left_out, matches


def members_of(
    path: Path, *, name: str, pattern: str | None
) -> Generator[tuple[Member, str], None, None]:
    """Every member of a file, and why it is left out; empty if it is read, or refused.

    Args:
        path: Where the file is.
        name: What it is called inside its source.
        pattern: Glob of the configuration; None: every file.

    Raises:
        OSError, EOFError, BombError and the other `READ_ERRORS`: While opening or reading.
    """
    members = open_members(path, name=name)
    if container(name) not in ("zip", "tar"):
        for member in members:
            yield member, ""
        return
    # A pattern that chose the archive itself in its folder says nothing about the members.
    if pattern is not None and matches(name, pattern):
        pattern = None
    of_chats: bool | None = None
    for member in members:
        of_chats = is_chat_export(member.beside) if of_chats is None else of_chats
        refused = member.stream is None
        yield member, "" if refused else left_out(member.name, pattern, in_chat_export=of_chats)
