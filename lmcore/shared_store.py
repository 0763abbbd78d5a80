"""Folders that several homes share: published whole to an object store, fetched and verified.

In: an address (`s3://bucket/folder`, `gs://`, `az://`) or a folder, and finished folders of a home.
Out: the same folders in another home.

A published folder is `PLACE/index.json`, which names its files with size and sha256, and each file
under its sha256 beside it.  The index is written last and in one piece, so half an upload is never
visible, and two that publish the same place at once leave one or the other.  Every file is hashed
as it comes: one that differs is fetched again, and a folder that stays damaged is taken out of the
store and counts as missing, so that it is made again.  `PLACE/used` is written whenever a home uses
the folder: by its age one knows what nobody needs (`lmcore.shared_usage`).

Who may read and write is known from where the libraries of stores look (environment, files of the
user, roles of the machine); see `lmcore.data.sources.remote`.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from lmcore.data.sources.remote import SCHEMES, check_address, file_system, said_by
from lmcore.digests import sha256_file
from lmcore.durable import storing
from lmcore.errors import IntegrityError, LmcoreError, SourceError, UserError
from lmcore.shared_index import INDEX, make_index, read_index
from lmcore.typed_path import is_address

logger = logging.getLogger(__name__)

KEY = "LMCORE_CONTENT"
USED = "used"
_WRITTEN = ("s3", "gs", "az")
_PIECE_BYTES = 1 << 20
_PAUSES_SECONDS = (1.0, 3.0, 9.0)
_ATTEMPTS = 2
_P = ParamSpec("_P")
_T = TypeVar("_T")


class SharedStoreError(LmcoreError):
    """The store that homes share cannot be reached, or takes nothing."""


def check_shared_address(text: str) -> None:
    """See that homes can share what lies there, and that the address holds no secret.

    Args:
        text: An address, or the absolute path of a folder.

    Raises:
        UserError: If they cannot.
    """
    if not is_address(text):
        return
    scheme = text.partition("://")[0].lower()
    if scheme not in _WRITTEN:
        known = ", ".join(f"{name}://" for name in _WRITTEN)
        raise UserError(f"{KEY}: nothing can be kept at {scheme}://; expected {known} or a folder")
    try:
        check_address(text, key=KEY)
    except SourceError as error:
        raise UserError(str(error)) from error


class SharedStore:
    """Published folders below one address.

    Args:
        address: As of `check_shared_address`.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")

    def publish(
        self,
        place: str,
        folder: Path,
        *,
        again: bool = False,
        only: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Make a folder visible under a place; what is there already stays.

        Args:
            place: `/`-separated name below the address.
            folder: Whose files do not change meanwhile.
            again: It takes the place of what is there.
            only: Which files, by their names in the folder.

        Raises:
            SharedStoreError: If the store cannot be reached or takes nothing.
        """
        if not again and self._ask(self._has, f"{place}/{INDEX}"):
            self._note_use(place)
            return
        paths = {
            path.relative_to(folder).as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and only(path.relative_to(folder).as_posix())
        }
        files = {name: (path.stat().st_size, sha256_file(path)) for name, path in paths.items()}
        index = make_index(files)
        for name, (size, sha256) in files.items():
            self._ask(self._put, f"{place}/{sha256}", paths[name], size)
        self._ask(self._put_content, f"{place}/{INDEX}", index)
        if not again:
            return
        kept = {INDEX, *(sha256 for _, sha256 in files.values())}
        # What an earlier folder of this place had; whoever reads it now asks again.
        for name in set(self._ask(self._names, place)) - kept:
            self._ask(self._delete, f"{place}/{name}")

    def fetch(self, place: str, folder: Path) -> bool:
        """Bring a published folder here.

        Args:
            place: Of `publish`.
            folder: Empty; what is in it afterwards counts where True is returned.

        Returns:
            Whether it was there and whole.

        Raises:
            SharedStoreError: If the store cannot be reached.
        """
        for attempt in range(_ATTEMPTS):
            raw = self._ask(self._content, f"{place}/{INDEX}")
            if raw is None:
                return False
            try:
                for name, (size, sha256) in read_index(
                    raw, where=f"{self.address}/{place}"
                ).items():
                    self._ask(self._get, f"{place}/{sha256}", folder / name, size, sha256)
            except IntegrityError as error:
                logger.warning("%s; %s", error, "fetched again" if not attempt else "made again")
                continue
            self._note_use(place)
            return True
        with contextlib.suppress(SharedStoreError):
            self.remove(place)
        return False

    def places(self, below: str) -> list[str]:
        """Names of what is published right below a place, sorted."""
        names = self._ask(self._names, below)
        return sorted(name for name in names if self._ask(self._has, f"{below}/{name}/{INDEX}"))

    def holds(self, place: str) -> list[str] | None:
        """Names of the files that are published under a place; None: nothing is."""
        raw = self._ask(self._content, f"{place}/{INDEX}")
        try:
            return None if raw is None else list(read_index(raw, where=f"{self.address}/{place}"))
        except IntegrityError:
            return None

    def read(self, place: str, name: str) -> bytes | None:
        """A small file of a published folder; None where it is not there, or not whole."""
        raw = self._ask(self._content, f"{place}/{INDEX}")
        try:
            files = {} if raw is None else read_index(raw, where=f"{self.address}/{place}")
        except IntegrityError:
            return None
        _, sha256 = files.get(name, (0, ""))
        content = self._ask(self._content, f"{place}/{sha256}") if sha256 else None
        whole = content is not None and hashlib.sha256(content).hexdigest() == sha256
        return content if whole else None

    def objects(self, below: str) -> dict[str, dict[str, Any]]:
        """What the library of the store tells of each object below a place, by its name there."""
        return self._ask(self._found, below)

    def remove(self, place: str) -> None:
        """Delete a place and all below it; its own index first."""
        self._ask(self._delete, f"{place}/{INDEX}")
        self._ask(self._delete_all, place)

    def _note_use(self, place: str) -> None:
        # Who may only read notes nothing.
        with contextlib.suppress(LmcoreError):
            self._ask(self._put_content, f"{place}/{USED}", b"used\n")

    # -- one request each; all may be repeated -------------------------------------------------

    def _at(self, name: str) -> tuple[Any, str]:
        return file_system(f"{self.address}/{name}")

    def _has(self, name: str) -> bool:
        system, path = self._at(name)
        return bool(system.isfile(path))

    def _names(self, place: str) -> list[str]:
        system, path = self._at(place)
        try:
            return [str(name).rstrip("/").rpartition("/")[2] for name in system.ls(path, False)]
        except FileNotFoundError:
            return []

    def _found(self, below: str) -> dict[str, dict[str, Any]]:
        system, path = self._at(below)
        try:
            found = system.find(path, detail=True)
        except FileNotFoundError:
            return {}
        return {str(name).removeprefix(path).lstrip("/"): told for name, told in found.items()}

    def _content(self, name: str) -> bytes | None:
        system, path = self._at(name)
        try:
            return bytes(system.cat_file(path))
        except FileNotFoundError:
            return None

    def _put_content(self, name: str, content: bytes) -> None:
        system, path = self._at(name)
        with _in_one_piece(system, path) as place:
            system.pipe_file(place, content)

    def _put(self, name: str, file: Path, size: int) -> None:
        system, path = self._at(name)
        # Its name is its content; an earlier one that was cut short is another size.
        if system.isfile(path) and system.size(path) == size:
            return
        with _in_one_piece(system, path) as place:
            system.put_file(str(file), place)

    def _get(self, name: str, file: Path, size: int, sha256: str) -> None:
        system, path = self._at(name)
        hashed, come = hashlib.sha256(), 0
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with storing(file), file.open("wb") as here, system.open(path, "rb") as there:
                while piece := there.read(_PIECE_BYTES):
                    here.write(piece)
                    hashed.update(piece)
                    come += len(piece)
        except FileNotFoundError as error:
            raise IntegrityError(f"{self.address}/{name} is named there and missing") from error
        if (come, hashed.hexdigest()) != (size, sha256):
            raise IntegrityError(f"{self.address}/{name} was changed or damaged, and is not used")

    def _delete(self, name: str) -> None:
        system, path = self._at(name)
        with contextlib.suppress(FileNotFoundError):
            system.rm_file(path)

    def _delete_all(self, place: str) -> None:
        system, path = self._at(place)
        # One by one: not every store deletes many at once, or what stands for a folder.
        for name in system.find(path):
            with contextlib.suppress(FileNotFoundError):
                system.rm_file(name)

    def _ask(self, request: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        scheme = self.address.partition("://")[0] if is_address(self.address) else ""
        for pause in (*_PAUSES_SECONDS, None):
            try:
                return request(*args, **kwargs)
            except LmcoreError:
                raise
            except ImportError as error:
                raise UserError(
                    f"{KEY}: {SCHEMES[scheme]} reads {self.address} and is not installed; pip"
                    " install 'lmcore[remote]'"
                ) from error
            except PermissionError as error:
                raise UserError(
                    f"{KEY}: {self.address} may not be used ({said_by(error)}); give the"
                    " credentials where its library looks for them"
                ) from error
            except Exception as error:  # each library has errors of its own
                failure = error
            if pause is not None:
                time.sleep(pause)
        raise SharedStoreError(
            f"{KEY}: {self.address} cannot be reached ({said_by(failure)}); all that was done is"
            " kept: see that it can, and run again."
        ) from failure


@contextlib.contextmanager
def _in_one_piece(system: Any, path: str) -> Iterator[str]:
    """Where to write; a folder gets the name when all of it is there, as a store does itself."""
    if "file" not in system.protocol:
        yield path
        return
    here = Path(path)
    here.parent.mkdir(parents=True, exist_ok=True)
    partial = here.with_name(f".{here.name}.{secrets.token_hex(4)}")
    try:
        yield str(partial)
        partial.replace(here)
    finally:
        partial.unlink(missing_ok=True)
