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
import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

from filelock import FileLock

from lmcore.durable import atomic_write, fsync_directory, storing
from lmcore.errors import IntegrityError
from lmcore.mending import note_mending, set_aside

__all__ = [
    "MANIFEST",
    "ContentStore",
    "Handle",
    "Manifest",
    "atomic_write",
    "canonical_json",
    "code_digest",
    "digest",
    "fsync_directory",
    "open_verified",
    "sha256_file",
    "strings_in",
]

MANIFEST = "manifest.json"
_CHUNK_BYTES = 1 << 20


def canonical_json(value: object) -> bytes:
    """Serialise to JSON with one spelling per value: sorted keys, no spaces, UTF-8.

    Raises:
        ValueError: If a number is not finite; a hash must never depend on NaN.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON of `value`, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in chunks."""
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            sha.update(chunk)
    return sha.hexdigest()


def code_digest(*modules: str) -> str:
    """SHA-256 over the source text of modules and packages, found without importing them.

    Args:
        modules: Dotted names; a package stands for every `.py` file below it.

    Returns:
        A digest that changes when, and only when, one of these sources changes.
    """
    sha = hashlib.sha256()
    for name in sorted(modules):
        spec = importlib.util.find_spec(name)
        assert spec is not None, name
        assert spec.origin is not None, name
        origin = Path(spec.origin)
        files = sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
        for file in files:
            sha.update(f"{name}/{file.relative_to(origin.parent)}\0".encode())
            sha.update(file.read_bytes())
    return sha.hexdigest()


def strings_in(value: Any) -> Iterator[str]:
    """Every string in nested JSON values: the keys that a manifest's inputs may name."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from strings_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings_in(item)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a folder holds and what made it.

    Attributes:
        kind: Concept, for example `documents` or `checkpoint`.
        key: Hash of `inputs`; also the folder's name in a content store.
        inputs: Everything that determined the content.
        files: Relative path to (size in bytes, sha256).
        summary: Small facts for reports; not part of the key.
        created: ISO 8601 time in UTC.
    """

    kind: str
    key: str
    inputs: Mapping[str, Any]
    files: Mapping[str, tuple[int, str]]
    summary: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a folder's manifest.

        Raises:
            IntegrityError: If it is missing, is not JSON or lacks a field.
        """
        path = folder / MANIFEST
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            files = {name: (int(size), str(sha)) for name, (size, sha) in raw["files"].items()}
            return cls(
                kind=raw["kind"],
                key=raw["key"],
                inputs=raw["inputs"],
                files=files,
                summary=raw.get("summary", {}),
                created=raw.get("created", ""),
            )
        except FileNotFoundError as error:
            raise IntegrityError(f"{path}: the manifest is missing; {_remedy(folder)}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(
                f"{path}: not a valid manifest ({error}); {_remedy(folder)}"
            ) from error

    @classmethod
    def write(
        cls,
        folder: Path,
        *,
        kind: str,
        inputs: Mapping[str, Any],
        summary: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Self:
        """Hash and fsync every file below `folder`, then write the manifest last."""
        files: dict[str, tuple[int, str]] = {}
        own = folder / MANIFEST
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path != own:
                with path.open("rb") as stream:
                    os.fsync(stream.fileno())
                name = path.relative_to(folder).as_posix()
                files[name] = (path.stat().st_size, sha256_file(path))
        manifest = cls(
            kind=kind,
            key=key or digest({"kind": kind, **inputs}),
            inputs=inputs,
            files=files,
            summary=summary or {},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        atomic_write(own, json.dumps(manifest.__dict__, indent=1, sort_keys=True))
        return manifest

    def verify(self, folder: Path, *, later: Collection[str] = ()) -> None:
        """Check that every listed file is there and unchanged, and that nothing was added.

        Args:
            folder: What the manifest is of.
            later: Files of which only the size is looked at now: whoever reads them verifies them.

        Raises:
            IntegrityError: Naming the first file that differs.
        """
        # The folder's own alone: one in a folder below is content like any other.
        own = folder / MANIFEST
        present = {
            p.relative_to(folder).as_posix()
            for p in folder.rglob("*")
            if not p.is_dir() and p != own
        }
        for name, (size, _) in self.files.items():
            path = folder / name
            if name not in present or path.is_symlink():
                raise IntegrityError(f"{path}: the file is missing; {_remedy(folder)}")
            found = path.stat().st_size
            if found != size:
                raise IntegrityError(
                    f"{path}: {found} bytes where the manifest says {size}; {_remedy(folder)}"
                )
            if name not in later:
                self.verify_file(folder, name)
        if extra := sorted(present - set(self.files)):
            raise IntegrityError(
                f"{folder / extra[0]}: not listed in the manifest; {_remedy(folder)}"
            )

    def verify_file(self, folder: Path, name: str) -> None:
        """Check the content of one listed file.

        Raises:
            IntegrityError: If it differs.
        """
        path = folder / name
        if sha256_file(path) != self.files[name][1]:
            raise IntegrityError(
                f"{path}: its sha256 differs from the manifest, so it was changed or damaged;"
                f" {_remedy(folder)}"
            )


def _remedy(folder: Path) -> str:
    return (
        f"nothing was loaded from {folder}. `lmcore run` with the same configuration mends what"
        " can be made again; or restore it, or use another version"
    )


def open_verified(
    folder: Path, *, kind: str | None = None, later: Collection[str] = ()
) -> Manifest:
    """Read and verify a folder, and optionally insist on its kind.

    Args:
        folder: With a manifest.
        kind: What it must be.
        later: As of `Manifest.verify`.

    Raises:
        IntegrityError: If anything differs from the manifest.
    """
    manifest = Manifest.read(folder)
    if kind is not None and manifest.kind != kind:
        raise IntegrityError(f"{folder}: holds {manifest.kind!r} where {kind!r} is expected")
    manifest.verify(folder, later=later)
    return manifest


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
