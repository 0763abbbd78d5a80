"""Who may read a home: its owner, and the owner's group where that was let in.

In: LMCORE_HOME.  Out: a folder that nobody else can enter, and the umask of a process that writes
there.  A home holds texts, requests and keys, and whoever can open a lock file can hold the lock.

The mode of the home's own folder decides for everything in it, so there is one place to look at
and one to change: 0700 as it is made, 0750 where a group may read, 2770 where it works along.
Nobody shares a home with everybody on purpose: such a mode comes of a usual umask, and is taken
back.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

_OTHERS = stat.S_IRWXO
_GROUP = stat.S_IRWXG

# How the names of all begin that lies in a home itself.
_PLACES = (
    *("cache", "content", "controls", "cwd", "damaged", "dashboard.html", "kept", "locks", "logs"),
    *("measures", "mended.jsonl", "mlflow", "prefect", "removals", "requests", "running"),
    *("servers", "splits.sqlite", "tmp", "up", "work"),
)

_users_umask: int | None = None


def private(root: Path) -> int:
    """Make the folder of a home, or take back what others may do in one that is there.

    Returns:
        The umask for everything in it.

    Raises:
        OSError: If it cannot be made.
    """
    try:
        root.mkdir(mode=stat.S_IRWXU, exist_ok=True)
    except FileNotFoundError:
        root.parent.mkdir(parents=True, exist_ok=True)
        root.mkdir(mode=stat.S_IRWXU, exist_ok=True)
    if _wide(root) and root.stat().st_uid == os.geteuid():
        # A folder that hands its group on was meant for the group.
        taken = _OTHERS if root.stat().st_mode & stat.S_ISGID else _OTHERS | _GROUP
        for path in _closed(root):
            if _wide(path):
                _tighten(path, taken)
    group = 0 if _wide(root) else root.stat().st_mode & _GROUP
    return (_OTHERS | _GROUP) & ~group


def enter(root: Path) -> None:
    """Make this process, and those that it starts, write what the home's readers may read."""
    global _users_umask
    before = os.umask(private(root))
    _users_umask = before if _users_umask is None else _users_umask


@contextmanager
def as_the_user() -> Iterator[None]:
    """Inside, files are made as the user's other programs make them: they lie outside the home."""
    if _users_umask is None:
        yield
        return
    before = os.umask(_users_umask)
    try:
        yield
    finally:
        os.umask(before)


def holds_a_home(root: Path) -> bool:
    """Whether anything of a home lies in a folder."""
    return any(path.name.startswith(_PLACES) for path in root.iterdir())


def described(root: Path) -> str:
    """Who may read the home, in words."""
    import grp
    import pwd

    state = root.stat()
    mode = state.st_mode
    if _wide(root):
        try:
            owner = pwd.getpwuid(state.st_uid).pw_name
        except KeyError:
            owner = f"uid {state.st_uid}"
        return f"its folder is {owner}'s and open to all; what is made in it is yours alone"
    if not mode & _GROUP:
        return "its owner alone may read it"
    try:
        group = grp.getgrgid(state.st_gid).gr_name
    except KeyError:
        group = f"gid {state.st_gid}"
    what = "read and write" if mode & stat.S_IWGRP else "read"
    return f"its owner and the group {group} may {what} it"


def _wide(root: Path) -> bool:
    return bool(root.stat().st_mode & _OTHERS)


def _closed(root: Path) -> list[Path]:
    """What is ours to close: the folder itself, unless something else than a home lies there too.

    /tmp, or a folder of projects, is not ours.
    """
    names = sorted(path.name for path in root.iterdir())
    own = [name for name in names if name.startswith(_PLACES)]
    if own == names:
        return [root]
    return [path for name in own if not (path := root / name).is_symlink()]


def _tighten(root: Path, taken: int) -> None:
    """Take rights back from all that is ours, the folder first: it keeps others out of the rest."""
    root.chmod(stat.S_IMODE(root.stat().st_mode) & ~taken)
    if _wide(root):  # a file system without rights
        return
    logger.warning("others could read %s; now its owner alone can", root)
    for folder, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(folder, name)
            try:
                state = path.lstat()
                if state.st_uid == os.geteuid() and not stat.S_ISLNK(state.st_mode):
                    path.chmod(stat.S_IMODE(state.st_mode) & ~taken)
            except FileNotFoundError:  # another process has just deleted it
                continue
