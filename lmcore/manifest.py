"""Manifests: what a folder holds and what made it, so that any damage is found and named.

In: a folder.  Out: `manifest.json` in it, which lists size and sha256 of each file, and is written
last: a folder that has one is whole.  Whoever reads the folder verifies it first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from lmcore.digests import digest, sha256_file
from lmcore.durable import atomic_write
from lmcore.errors import IntegrityError

MANIFEST = "manifest.json"


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
