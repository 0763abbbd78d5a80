"""Files of object stores and web servers: listed, and brought here one by one as they are read.

In: an address (`s3://bucket/folder`, `gs://`, `az://`, `hf://`, `https://host/file`), a folder, a
file or a pattern.  Out: names, sizes and what the store says of each one's version (its ETag, where
it has one), and the bytes of one file below TMPDIR for as long as somebody reads it.  So neither
memory nor disk depends on how much lies there.

The file systems are fsspec's, each of a library of its own that is imported when an address asks
for it.  Who may read is known from where these libraries look by themselves (environment, files of
the user, roles of the machine); an address that holds a name, a password or a signature is refused,
as it would stand in configurations, logs and reports.
"""

from __future__ import annotations

import contextlib
import glob
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lmcore.digests import digest
from lmcore.durable import storing
from lmcore.errors import LmcoreError, SourceError
from lmcore.settings import short
from lmcore.typed_path import MAX_PATH_BYTES, is_address

#: What may stand before `://`, and the distribution that reads it; None: it is always there.
SCHEMES: Mapping[str, str | None] = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "az": "adlfs",
    "hf": None,
    "https": None,
    "http": None,
}
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})
# By whom a store says which bytes a file holds, the surest first.
_VERSIONS = (
    *("ETag", "etag", "md5Hash", "content_md5", "Content-MD5", "blob_id"),
    *("LastModified", "last_modified", "Last-Modified", "updated", "mtime"),
)
_PIECE_BYTES = 1 << 20
#: Answers of a web server after which nothing is asked again.
_GONE = (404, 410)
#: Beside what the libraries try by themselves.
_PAUSES_SECONDS = (1.0, 3.0)
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file of a store.

    Attributes:
        address: Where it is, with its scheme.
        num_bytes: Its size as the store says it.
        version: Changes with its content.
    """

    address: str
    num_bytes: int
    version: str

    @contextlib.contextmanager
    def at_hand(self) -> Iterator[Path]:
        """Its bytes as a file of this machine, for the length of the block.

        Raises:
            SourceError: If it cannot be read, or is another one than was listed.
            StorageError: If this machine's disk is full or fails.
        """
        with tempfile.TemporaryDirectory(prefix="remote-") as folder:
            place = Path(folder) / "file"
            _patiently(self.address, lambda: _bring(self, place))
            yield place


def check_address(text: str, *, key: str) -> None:
    """See that an address can be used, and holds no secret.

    Raises:
        SourceError: If its scheme is none of ours, or it holds a name, a password or a query.
    """
    scheme = text.partition("://")[0].lower()
    if not text.isprintable() or len(text) > MAX_PATH_BYTES:
        raise SourceError(f"{key}: {short(text)} is no address; expected {scheme}://NAME/...")
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise SourceError(f"{key}: {short(text)} is no address ({error})") from error
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES if name != "http")
        raise SourceError(f"{key}: {scheme}:// is not read; expected one of {known}, or a path")
    if "@" in parts.netloc:
        raise SourceError(
            f"{key}: an address holds no user and no password; leave them out, and give them as"
            f" {SCHEMES[scheme] or scheme} looks for them (environment, files of the user)"
        )
    # Elsewhere a question mark is of a pattern.
    if scheme in ("http", "https") and parts.query:
        raise SourceError(
            f"{key}: an address with a query may hold a secret; give the file without it"
        )
    if scheme == "http" and parts.hostname not in _THIS_MACHINE:
        raise SourceError(f"{key}: http can be changed on its way; expected https")
    if not parts.netloc:
        raise SourceError(f"{key}: {text} names no bucket or host; expected {scheme}://NAME/...")


def list_remote(text: str, *, key: str) -> list[tuple[str, RemoteFile]]:
    """Every file of an address: of a folder, of a pattern, or itself.

    Args:
        text: The address.
        key: Of the configuration, for sentences.

    Returns:
        Name inside the folder, `/`-separated, and the file; by name.

    Raises:
        SourceError: If the address is none, its library is not installed, or nothing is there.
    """
    check_address(text, key=key)
    scheme = text.partition("://")[0].lower()

    def ask() -> tuple[str, dict[str, Any]]:
        system, path = file_system(text)
        if glob.has_magic(path) and scheme not in ("http", "https"):
            found = system.glob(path, detail=True)
            fixed = path[: re.search(r"[*?[]", path).start()]  # type: ignore[union-attr]
            return fixed.rpartition("/")[0], found
        told = system.info(path)
        if told["type"] == "file":
            return path.rpartition("/")[0], {path: told}
        return path.rstrip("/"), system.find(path, detail=True)

    base, found = _patiently(text, ask, key=key)
    files = {name: told for name, told in found.items() if told["type"] == "file"}
    listed = [
        (name.removeprefix(base).lstrip("/"), _file(scheme, name, told))
        for name, told in files.items()
        # What consoles write to show an empty folder.
        if not (name.endswith("/") and not told.get("size"))
    ]
    if not listed:
        raise SourceError(f"{key}: no file is at {text}; change the address")
    return sorted(listed, key=lambda item: item[0])


def _file(scheme: str, name: str, told: Mapping[str, Any]) -> RemoteFile:
    address = name if is_address(name) else f"{scheme}://{name}"
    size = told.get("size")
    # A server that says nothing of its files: they are read for it.
    said = _said(told) or _patiently(address, lambda: _sha256_of(address, told))
    return RemoteFile(
        address=address,
        num_bytes=int(size) if size is not None else 0,
        version=_version(said, told),
    )


def _version(said: str, told: Mapping[str, Any]) -> str:
    return digest([said, told.get("size")])


def _said(told: Mapping[str, Any]) -> str:
    """What a store says of a file's version; empty where it says nothing."""
    return next((_plain(told[key]) for key in _VERSIONS if told.get(key)), "")


def _plain(said: object) -> str:
    """What a store says of a version, in the same words in a list and of one file."""
    if isinstance(said, datetime):
        return str(int(said.timestamp()))
    return str(said).removeprefix("W/").strip('"')


def _sha256_of(address: str, told: Mapping[str, Any]) -> str:
    system, path = file_system(address)
    with tempfile.TemporaryDirectory(prefix="remote-") as folder:
        return _copy(system, path, Path(folder) / "file", size=told.get("size"))


def _bring(file: RemoteFile, place: Path) -> None:
    """Copy a file here, and see that it is the one that was listed."""
    system, path = file_system(file.address)
    told = system.info(path)
    said = _said(told)
    if said and _version(said, told) != file.version:
        raise _changed(file)
    sha256_here = _copy(system, path, place, size=told.get("size"))
    if not said and _version(sha256_here, told) != file.version:
        raise _changed(file)


def _changed(file: RemoteFile) -> SourceError:
    return SourceError(f"{file.address} changed after it was listed; run again")


def _copy(system: Any, path: str, place: Path, *, size: int | None) -> str:
    """Copy a file of a store to this machine; its SHA-256.

    Raises:
        OSError: If fewer bytes came than the store says.
        StorageError: If this machine's disk is full or fails.
    """
    sha, come = sha256(), 0
    with storing(place), place.open("wb") as here, system.open(path, "rb") as there:
        while piece := there.read(_PIECE_BYTES):
            here.write(piece)
            sha.update(piece)
            come += len(piece)
    if size and come != size:
        raise OSError(f"ended after {come:,} of {size:,} bytes")
    return sha.hexdigest()


def file_system(address: str) -> tuple[Any, str]:
    """The file system of an address, which remembers nothing, and the path in it."""
    from fsspec.core import url_to_fs

    system, path = url_to_fs(address, use_listings_cache=False)
    return system, str(path)


def _patiently(address: str, ask: Callable[[], _T], *, key: str = "sources") -> _T:
    """Ask a store, again where it is away for a moment.

    Raises:
        SourceError: In one sentence, without what may be secret.
    """
    for pause in (*_PAUSES_SECONDS, None):
        try:
            return ask()
        except LmcoreError:
            raise
        except ImportError as error:
            library = SCHEMES[address.partition("://")[0].lower()]
            raise SourceError(
                f"{key}: {library} reads {address} and is not installed; pip install"
                " 'lmcore[remote]'"
            ) from error
        except FileNotFoundError as error:
            # Of a web server fsspec says so whatever went wrong: what did is its cause.
            if getattr(error.__cause__, "status", 404) in _GONE:
                raise SourceError(f"{key}: nothing is at {address}; change the address") from error
            failure: Exception = error
        except PermissionError as error:
            raise SourceError(
                f"{key}: {address} may not be read ({said_by(error)}); give the credentials"
                " where its library looks for them"
            ) from error
        except Exception as error:  # each library has errors of its own
            failure = error
        if pause is not None:
            time.sleep(pause)
    raise SourceError(
        f"{key}: {address} cannot be read ({said_by(failure)}); see that it can be reached, and run"
        " again"
    ) from failure


def said_by(error: Exception) -> str:
    """What an error says, in a line, without queries, which may hold signatures."""
    told = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
    said = " ".join(str(told).split()) or type(told).__name__
    return re.sub(r"\?[^\s'\"]+", "?...", said)[:200]
