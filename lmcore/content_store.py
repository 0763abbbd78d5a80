"""Content-addressed folders: what goes in is hashed, what comes out is verified.

A step names its output by the hash of what makes it (inputs, config section,
digest of its code).  `ContentStore.build` returns the finished folder if it is
there and verifies, else makes it in a temporary sibling, writes `manifest.json`
last and renames.  So a crash leaves either a whole folder or none, and two runs
of the same thing meet in the same folder.  A finished folder that is damaged is
set aside and made again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

from filelock import FileLock

from lmcore.digests import digest
from lmcore.durable import fsync_directory, storing
from lmcore.errors import IntegrityError
from lmcore.manifest import Manifest, open_verified
from lmcore.mending import note_mending, set_aside


@dataclass(frozen=True, kw_only=True)
class Handle:
    """A finished content folder: small enough to pass between steps and to store as JSON."""

    kind: ClassVar[str] = ""
    key: str
    path: Path
    summary: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The handle as plain JSON values."""
        return {"kind": self.kind, "key": self.key, "path": str(self.path)}

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a finished folder after verifying all of it.

        Raises:
            IntegrityError: If it is damaged or of another kind.
        """
        manifest = open_verified(path, kind=cls.kind)
        return cls(key=manifest.key, path=path, summary=manifest.summary)


H = TypeVar("H", bound=Handle)


class Shared(Protocol):
    """Where homes share folders; see `lmcore.shared_store.SharedStore`."""

    def fetch(self, place: str, folder: Path) -> bool:
        """Bring a published folder here, if it is there and whole."""

    def publish(self, place: str, folder: Path) -> None:
        """Make a folder visible to other homes, if it is not yet."""


class ContentStore:
    """Folders `root/<kind>/<key>`, each made once.

    Args:
        root: Of this home.
        shared: Finished folders are published there, and fetched from there where they are missing
            here; None: this home is alone.
        publishes: Whether `build` publishes; otherwise somebody calls `publish`.
    """

    def __init__(self, root: Path, *, shared: Shared | None = None, publishes: bool = True) -> None:
        self.root = root
        self._shared, self._publishes = shared, publishes

    def path(self, kind: str, key: str) -> Path:
        """Where the folder of this key is, or will be."""
        return self.root / kind / key[:32]

    def key(self, kind: str, inputs: Mapping[str, Any]) -> str:
        """The key of a folder: the digest of its kind and of everything that makes it."""
        return digest({"kind": kind, **inputs})

    def newest(self, kind: str, is_wanted: Callable[[Path], bool]) -> Path | None:
        """The folder of a kind that changed last among those wanted; None where there is none.

        Args:
            kind: Of the folders; they are not verified.
            is_wanted: Asked of each; one of which it cannot tell counts as not wanted, whether it
                is damaged (`IntegrityError`) or just being removed (`OSError`).
        """
        found: list[tuple[float, Path]] = []
        for folder in (self.root / kind).glob("[!.]*"):
            with contextlib.suppress(IntegrityError, OSError):
                if is_wanted(folder):
                    found.append((folder.stat().st_mtime, folder))
        return max(found)[1] if found else None

    def build(
        self,
        handle: type[H],
        inputs: Mapping[str, Any],
        make: Callable[[Path], Mapping[str, Any] | None],
    ) -> H:
        """Return the finished folder for `inputs`, making it first where it does not exist.

        A finished folder that is damaged is set aside, and fetched or made again.

        Args:
            handle: Class of the result; its `kind` is part of the key.
            inputs: JSON values that determine the content completely.
            make: Fills the (empty) folder that it is given; returns the summary.

        Raises:
            StorageError: If the disk is full or fails.
        """
        key = self.key(handle.kind, inputs)
        final = self.path(handle.kind, key)
        final.parent.mkdir(parents=True, exist_ok=True)
        with storing(final), FileLock(final.parent / f".{final.name}.lock"):
            found = self._sound(handle, final) if final.exists() else None
            if found is None:
                if not self._fetched(handle, key, final):
                    with self._workspace(final) as temporary:
                        summary = make(temporary) or {}
                        Manifest.write(
                            temporary, kind=handle.kind, inputs=inputs, summary=summary, key=key
                        )
                        os.replace(temporary, final)
                fsync_directory(final.parent)
                found = handle(key=key, path=final, summary=Manifest.read(final).summary)
        if self._publishes:
            self.publish(found)
        return found

    def publish(self, handle: Handle) -> None:
        """Let other homes fetch a finished folder."""
        if self._shared is not None:
            self._shared.publish(self._place(handle.kind, handle.key), handle.path)

    def _place(self, kind: str, key: str) -> str:
        return f"content/{kind}/{key[:32]}"

    def _fetched(self, handle: type[H], key: str, final: Path) -> bool:
        """Whether another home had made the folder; then it is here now, and verified."""
        if self._shared is None:
            return False
        with self._workspace(final) as temporary:
            if not self._shared.fetch(self._place(handle.kind, key), temporary):
                return False
            manifest = open_verified(temporary, kind=handle.kind)
            if manifest.key != key or self.key(manifest.kind, manifest.inputs) != key:
                raise IntegrityError(
                    f"{self._place(handle.kind, key)}: what homes share there is another folder;"
                    " delete it, and run again"
                )
            for path in temporary.rglob("*"):
                if path.is_file():
                    with path.open("rb") as stream:
                        os.fsync(stream.fileno())
            os.replace(temporary, final)
        return True

    def _sound(self, handle: type[H], final: Path) -> H | None:
        """The finished folder; None where it was damaged, and its place is free now."""
        try:
            return handle.open(final)
        except IntegrityError as error:
            kept = set_aside(self.root, final)
            remedy = f"it is made again; what it was is in {kept}"
            note_mending(self.root, final, problem=str(error), remedy=remedy)
            return None

    @contextlib.contextmanager
    def _workspace(self, final: Path) -> Iterator[Path]:
        # A fixed name under the key's lock: what a killed process left is swept by its successor.
        temporary = final.parent / f".{final.name}.partial"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
