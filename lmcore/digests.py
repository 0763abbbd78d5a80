"""Digests: of values, of files and of code.

In come JSON values, a file or names of modules; out comes a SHA-256 in hexadecimal digits, the
same one on every machine.  What is stored under a digest is found again by whoever has the same.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

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
