"""A folder of lines that grows while it is read: sealed parts, and one that is still written.

In: lines.  Out: files `TIME-HASH.jsonl`, of which each is whole, never changes, and has the first
digits of its SHA-256 in its name.  A part is written under a hidden name that no reader looks at,
and renamed when it is large or old enough.  What a killed process left is sealed by its successor,
but for a last line without an end.

Folders are for their owner alone, as they hold what people wrote.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from lmcore.data.requests.lines import Line, parsed, written
from lmcore.digests import sha256_file
from lmcore.durable import atomic_write, fsync_directory

#: Below the folder of a model.
ASKED, FEEDBACK, SHADOW = "asked", "feedback", "shadow"
_PART = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{16})\.jsonl")
_OPEN = ".open-"
#: Beside them while somebody waits for the one that is still written.
_WANTED = ".seal-now"
_TIME = "%Y%m%dT%H%M%SZ"
_DAY_SECONDS = 86_400
# A file that was just made may not be locked yet.
_SETTLED_SECONDS = 60.0
_LOOK_SECONDS = 0.05


class PartWriter:
    """Appends lines to a folder.

    Args:
        folder: Made when the first line comes.
        seal_bytes: A part is sealed when it is so large,
        seal_seconds: or so old.
        most_bytes: Of the whole folder; what comes then is dropped.
        now: Seconds since 1970.

    Attributes:
        dropped: Lines for which there was no room.

    Use it in one thread.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seal_bytes: int = 1 << 20,
        seal_seconds: float = 600.0,
        most_bytes: int = 1 << 30,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._now = folder, now
        self._seal_bytes, self._seal_seconds = seal_bytes, seal_seconds
        self._most_bytes = most_bytes
        self._stream: IO[bytes] | None = None
        self._bytes = 0
        self._begun = 0.0
        self._sealed_bytes = sum(path.stat().st_size for path in parts(folder))
        self.dropped = 0

    def add(self, line: Line) -> bool:
        """Append a line; False: there is no room for it.

        Raises:
            OSError: If it cannot be written.
        """
        data = written(line)
        if self._sealed_bytes + self._bytes + len(data) > self._most_bytes:
            self.dropped += 1
            return False
        with self._abandoned_on_error():
            (self._stream or self._begin()).write(data)
        self._bytes += len(data)
        return True

    def flush(self) -> None:
        """Make what was added survive a power cut.

        Raises:
            OSError: If it cannot be written.
        """
        if self._stream is not None:
            with self._abandoned_on_error():
                self._stream.flush()
                os.fsync(self._stream.fileno())

    def seal_if_due(self) -> Path | None:
        """Seal the part where it is large or old enough, or somebody waits for it."""
        if self._stream is None:
            return None
        old = self._now() - self._begun >= self._seal_seconds
        wanted = (self._folder / _WANTED).exists()
        return self.seal() if old or wanted or self._bytes >= self._seal_bytes else None

    def seal(self) -> Path | None:
        """End the part, so that readers see it; None where there is none.

        Raises:
            OSError: If it cannot be written; the successor of this process seals it.
        """
        if self._stream is None:
            return None
        self.flush()
        with self._abandoned_on_error():
            final = _sealed(Path(self._stream.name), self._now())
        self._stream.close()
        self._sealed_bytes += self._bytes
        self._stream, self._bytes = None, 0
        return final

    def expire(self, keep_days: int) -> int:
        """Delete parts that are older than so many days; returns how many."""
        gone = expire(self._folder, keep_days=keep_days, now=self._now())
        if gone:
            self._sealed_bytes = sum(path.stat().st_size for path in parts(self._folder))
        return gone

    @contextlib.contextmanager
    def _abandoned_on_error(self) -> Iterator[None]:
        """After an error the part may end in half a line: it is left to `recover`."""
        try:
            yield
        except BaseException:
            stream, self._stream, self._bytes = self._stream, None, 0
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
            raise

    def _begin(self) -> IO[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{_OPEN}{secrets.token_hex(8)}"
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._stream = open(path, "wb", opener=lambda *_: descriptor)  # noqa: SIM115
        self._begun = self._now()
        return self._stream


def recover(folder: Path, *, now: float | None = None) -> list[Path]:
    """Seal what killed processes left; one that is being written stays."""
    found = []
    for path in sorted(folder.glob(f"{_OPEN}*")):
        with contextlib.suppress(FileNotFoundError), path.open("r+b") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            raw, changed = stream.read(), path.stat().st_mtime
            whole = raw.rfind(b"\n") + 1
            if not whole:
                if (time.time() if now is None else now) - changed > _SETTLED_SECONDS:
                    path.unlink()
                continue
            stream.truncate(whole)
            stream.flush()
            os.fsync(stream.fileno())
            found.append(_sealed(path, changed))
    return found


def seal_now(folder: Path, *, seconds: float) -> bool:
    """Have the part that is still written sealed, by whoever writes it; False: not in time."""
    recover(folder)
    waiting = list(folder.glob(f"{_OPEN}*"))
    if not waiting:
        return True
    wanted, end = folder / _WANTED, time.monotonic() + seconds
    try:
        wanted.touch(mode=0o600)
        while any(path.exists() for path in waiting):
            if time.monotonic() > end:
                return False
            time.sleep(_LOOK_SECONDS)
    finally:
        wanted.unlink(missing_ok=True)
    return True


def _sealed(path: Path, at: float) -> Path:
    stamp = datetime.fromtimestamp(at, UTC).strftime(_TIME)
    final = path.with_name(f"{stamp}-{sha256_file(path)[:16]}.jsonl")
    os.replace(path, final)
    fsync_directory(final.parent)
    return final


def parts(folder: Path) -> list[Path]:
    """The sealed parts, oldest first; none where nothing was kept."""
    try:
        return sorted(path for path in folder.iterdir() if _PART.fullmatch(path.name))
    except FileNotFoundError:
        return []


def is_damaged(name: str, sha256: str) -> bool:
    """Whether a part of this name should hold something else."""
    match = _PART.fullmatch(name)
    return match is None or not sha256.startswith(match[2])


def read_lines(
    folder: Path, *, on_damaged: Callable[[Path], None] = lambda path: None
) -> Iterator[Line]:
    """Every line of the sealed parts, oldest first; a damaged part is told and passed over."""
    for path in parts(folder):
        raw = path.read_bytes()
        if is_damaged(path.name, hashlib.sha256(raw).hexdigest()):
            on_damaged(path)
            continue
        for line in raw.splitlines():
            with contextlib.suppress(ValueError):  # of a later release
                yield parsed(line)


def expire(folder: Path, *, keep_days: int, now: float | None = None) -> int:
    """Delete parts that are older than so many days; returns how many."""
    limit = (time.time() if now is None else now) - keep_days * _DAY_SECONDS
    old = [path for path in parts(folder) if _sealed_at(path) < limit]
    for path in old:
        path.unlink(missing_ok=True)
    if old:
        fsync_directory(folder)
    return len(old)


def strike(folder: Path, holds: Callable[[Line], bool]) -> int:
    """Take lines out of the sealed parts for good; returns how many.

    A part that holds some is written anew under the name of what is left, with its time; a damaged
    one goes as a whole, as nobody reads it again and nobody knows what is in it.
    """
    struck = 0
    for path in parts(folder):
        kept = []
        if is_damaged(path.name, sha256_file(path)):
            path.unlink()
            continue
        for raw in path.read_bytes().splitlines(keepends=True):
            try:
                gone = holds(parsed(raw))
            except ValueError:
                gone = False
            struck += gone
            if not gone:
                kept.append(raw)
        data = b"".join(kept)
        if len(data) == path.stat().st_size:
            continue
        if data:
            name = f"{path.name.partition('-')[0]}-{hashlib.sha256(data).hexdigest()[:16]}.jsonl"
            atomic_write(path.with_name(name), data, mode=0o600)
        path.unlink()
        fsync_directory(folder)
    return struck


def _sealed_at(path: Path) -> float:
    return datetime.strptime(path.name.partition("-")[0], _TIME).replace(tzinfo=UTC).timestamp()
