"""An SQLite database that decisions rest on: kept a second time, found sound, put back.

In: a database that one program writes in SQLite's usual way (with a rollback journal).  Out: the
database as it was last written, or one sentence why not.

A flipped bit in a table is invisible to SQLite, and would be a wrong decision.  So whenever
somebody has finished writing, the database is kept a second time under a name that tells its
content: `kept/NAME-COUNT-SHA256.db`.  SQLite counts its transactions in the file's header; as long
as the count is that of the kept file, the content must be too, and where it is not, the kept file
takes its place and nothing is lost.  After further transactions (of a process that was killed)
SQLite's own check of all pages is what there is.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lmcore.durable import atomic_write, fsync_directory, number_in, storage_error, storing
from lmcore.errors import IntegrityError, LmcoreError
from lmcore.mending import note_mending, set_aside

#: Where SQLite's header counts transactions, and where it says which of them wrote the header.
_COUNT, _WRITTEN = slice(24, 28), slice(92, 96)
_HEADER_BYTES = 100
_PIECE_BYTES = 1 << 20
#: Keeping a larger one twice would cost each command seconds.
_KEPT_BYTES = 256 << 20
_WAIT_SECONDS = 60.0
_SIDECARS = ("-journal", "-wal", "-shm")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A second copy of the database.

    Attributes:
        path: The file.
        count: SQLite's count of transactions.
        sha256: Of the content.
    """

    path: Path
    count: int
    sha256: str

    def content(self) -> bytes | None:
        """What it holds; None where it is damaged itself, or gone."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        return content if hashlib.sha256(content).hexdigest() == self.sha256 else None

    @property
    def at(self) -> str:
        """When it was kept, ISO 8601 in UTC."""
        made = datetime.fromtimestamp(self.path.stat().st_mtime, UTC)
        return made.isoformat(timespec="seconds")


@dataclass(frozen=True, kw_only=True)
class _Image:
    """What a database holds.

    Attributes:
        count: SQLite's count of transactions.
        pieces: Gives the content, one piece after the other.
    """

    count: int
    pieces: Callable[[], Iterator[bytes]]

    def sha256(self) -> str:
        """Of the content."""
        hashed = hashlib.sha256()
        for piece in self.pieces():
            hashed.update(piece)
        return hashed.hexdigest()


class KeptDatabase:
    """A database and what is kept of it.

    Args:
        path: The database.
        root: Where damaged files are set aside, and what was mended is written down.
        holds: What is in it, for a sentence.
        remedy: What a person can do who has no copy of it.
        in_pieces: Read it beside SQLite, in pieces, instead of as a whole in memory.  That is for a
            database that nobody else in this process has open, and that no other process writes
            meanwhile: a descriptor that is closed drops the locks of all others.
    """

    def __init__(
        self, path: Path, *, root: Path, holds: str, remedy: str, in_pieces: bool = False
    ) -> None:
        self.path, self._root = path, root
        self._holds, self._remedy, self._in_pieces = holds, remedy, in_pieces
        self._folder = path.parent / "kept"
        self._name = re.compile(rf"{re.escape(path.stem)}-(\d{{10}})-([0-9a-f]{{64}})\.db")

    def ready(
        self, *, used: bool, alone: Callable[[], AbstractContextManager[None]] | None = None
    ) -> None:
        """See to it that the database is what was last written; the caller is the only one to ask.

        Args:
            used: Whether there must be one, although none is kept.
            alone: Entered before it is replaced; raises where another process works with it.

        Raises:
            IntegrityError: If it is damaged or missing and cannot be put right.
            StorageError: If its disk fails.
        """
        kept = self._newest()
        if (problem := self._problem(kept, used=used)) is not None:
            self._mend(kept, problem, alone or contextlib.nullcontext)

    def keep(self) -> None:
        """Keep the database a second time, where it has changed since that was last done.

        Nothing here may stop somebody who has done their work: what goes wrong is left to the next.
        """
        with contextlib.suppress(OSError, sqlite3.Error):
            if not 0 < self.path.stat().st_size <= _KEPT_BYTES:
                return
            kept = self._newest()
            with opened(self.path) as database:
                image = self._image(database)
                if kept is None or kept.count != image.count:
                    self._keep(image)

    def _newest(self) -> Kept | None:
        found: dict[int, Kept] = {}
        for file in self._folder.glob("*.db"):
            if match := self._name.fullmatch(file.name):
                # Another process may keep a newer one at this moment.
                with contextlib.suppress(FileNotFoundError):
                    made = file.stat().st_mtime_ns
                    found[made] = Kept(path=file, count=int(match[1]), sha256=match[2])
        return found[max(found)] if found else None

    def _image(self, database: sqlite3.Connection) -> _Image:
        if self._in_pieces:
            # What was left half written is rolled back by the first look.
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            with self.path.open("rb") as stream:
                header = stream.read(_HEADER_BYTES)
            return _Image(count=_number(header, _COUNT), pieces=lambda: _pieces(self.path))
        # As SQLite reads it: a transaction of another process may be half written.
        content = database.serialize()
        return _Image(count=_number(content, _COUNT), pieces=lambda: iter((content,)))

    def _keep(self, image: _Image) -> None:
        partial = self._folder / f".{self.path.name}.{secrets.token_hex(8)}"
        hashed = hashlib.sha256()
        with storing(partial):
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("xb") as stream:
                    for piece in image.pieces():
                        hashed.update(piece)
                        stream.write(piece)
                    stream.flush()
                    os.fsync(stream.fileno())
                sha256 = hashed.hexdigest()
                new = self._folder / f"{self.path.stem}-{image.count:010d}-{sha256}.db"
                os.replace(partial, new)
            finally:
                partial.unlink(missing_ok=True)
            fsync_directory(self._folder)
        for old in self._folder.glob("*.db"):
            if old != new and self._name.fullmatch(old.name):
                old.unlink(missing_ok=True)

    def _problem(self, kept: Kept | None, *, used: bool) -> str | None:
        """What is wrong; None: nothing, and it is kept as it is."""
        path = self.path
        if not path.exists() or path.stat().st_size == 0:
            lost = "it is empty" if path.exists() else "it is missing"
            return lost if used or kept is not None else None
        try:
            with opened(path) as database:
                database.execute("SELECT count(*) FROM sqlite_master").fetchone()
                image = self._image(database) if path.stat().st_size <= _KEPT_BYTES else None
                if kept is not None and image is not None and image.count == kept.count:
                    same = image.sha256() == kept.sha256
                    return None if same else "its content is not what was last written"
                if (found := check_pages(database)) is not None:
                    return found
                if image is not None:
                    self._keep(image)
            return None
        except sqlite3.DatabaseError as error:
            return damage(error, path)

    def _mend(
        self, kept: Kept | None, problem: str, alone: Callable[[], AbstractContextManager[None]]
    ) -> None:
        path = self.path
        content = None if kept is None else kept.content()
        if kept is None or content is None:
            raise IntegrityError(
                f"{path}: {problem}; it holds {self._holds}, and no sound copy of it is in"
                f" {self._folder}: {self._remedy}."
            )
        there = path.is_file() and path.stat().st_size > 0
        if there and not self._is_all_kept(kept):
            raise IntegrityError(
                f"{path}: {problem}, and it was written to after {kept.at}, when it was last kept;"
                f" restore a newer backup, or go on from then with `cp {kept.path} {path}`."
            )
        with alone():
            if path.exists():
                set_aside(self._root, path)
            remove_database(path)
            atomic_write(path, content)
        remedy = (
            f"what was last written to it is in its place again, kept at {kept.at}"
            if there
            else f"it is in its place again as it was kept at {kept.at}"
        )
        note_mending(self._root, path, problem=problem, remedy=remedy)

    def _is_all_kept(self, kept: Kept) -> bool:
        """Whether the damaged database has no transaction that the kept one lacks."""
        with self.path.open("rb") as stream:
            header = stream.read(_HEADER_BYTES)
        return kept.count in (_number(header, _COUNT), _number(header, _WRITTEN))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


def _number(header: bytes, place: slice) -> int:
    return int.from_bytes(header[place], "big")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a database that exists; what was left half written is rolled back."""
    with contextlib.closing(connected(path)) as connection:
        yield connection


def connected(path: Path) -> sqlite3.Connection:
    """The same, for whoever closes it."""
    return sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=_WAIT_SECONDS)


def problem_of(path: Path) -> str | None:
    """What SQLite finds wrong with a database that is there; None: nothing.

    Raises:
        StorageError: If it is the disk that fails.
        LmcoreError: If another process works with it.
    """
    try:
        with opened(path) as database:
            return check_pages(database)
    except sqlite3.DatabaseError as error:
        return damage(error, path)


def check_pages(database: sqlite3.Connection) -> str | None:
    """What SQLite finds wrong with the pages of a database; None: nothing."""
    (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    return None if found == "ok" else str(found)


def damage(error: sqlite3.DatabaseError, path: Path) -> str:
    """What SQLite says of a database that cannot be read.

    Raises:
        StorageError: If it is the disk that fails.
        LmcoreError: If another process works with it.
    """
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise LmcoreError(
            f"{path}: another process has worked with it for {_WAIT_SECONDS:.0f} s; try again"
            " when it has finished."
        ) from error
    # A header can be damaged so that SQLite takes it for one that is short or must not be written.
    looks_so = code == sqlite3.SQLITE_IOERR_SHORT_READ or (
        code & 0xFF == sqlite3.SQLITE_READONLY and os.access(path, os.W_OK)
    )
    if not looks_so and (number := number_in(str(error))) is not None:
        raise storage_error(path, number) from error
    return str(error)


def remove_database(path: Path) -> None:
    """Delete a database with what SQLite keeps beside it."""
    for suffix in ("", *_SIDECARS):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


@contextlib.contextmanager
def being_made(database: Path) -> Iterator[None]:
    """Say that a database is being made, where it is; a kill in between leaves none.

    Libraries make a database by many transactions, and cannot go on from the middle.  The caller
    holds a lock that keeps others from making it too.
    """
    drop_unfinished(database)
    if database.exists() and database.stat().st_size:
        yield
        return
    mark = _mark(database)
    mark.touch()
    fsync_directory(mark.parent)
    yield
    mark.unlink()


def _mark(database: Path) -> Path:
    return database.with_name(f".{database.name}.unfinished")


def is_being_made(database: Path) -> bool:
    """Whether a process makes it, or was killed while it did (`being_made`)."""
    return _mark(database).exists()


def drop_unfinished(database: Path) -> None:
    """Remove what was being made when a process was killed: nobody has used it."""
    if is_being_made(database):
        remove_database(database)
        fsync_directory(database.parent)
        _mark(database).unlink()
