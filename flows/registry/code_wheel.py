"""The running `lmcore` as a wheel, so that an environment for a version can be built anywhere.

In: the package as it lies here, checked out or installed.  Out: the bytes of a wheel, the same for
the same code; and the lines that let pip find it beside them.

No package index holds `lmcore`, so a version brings it along.  MLflow's environments and containers
install it like any library; loading a version where `lmcore` is installed never touches it, and
runs no code that came out of a registry.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.metadata
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import lmcore
from lmcore.yaml_file import shipped

#: Where it lies in MLflow's folder of a model, beside `requirements.txt`.
FOLDER = "wheels"
#: What `lmcore.serving` imports, as distributions; pinned to what is installed here.
LIBRARIES = (
    *("filelock", "jinja2", "numpy", "pandas", "phonenumbers", "pyarrow", "pydantic"),
    "pydantic_core",
    *("python-stdnum", "pyyaml", "regex", "safetensors", "scikit-learn", "scipy", "tokenizers"),
    "torch",
)
#: What it imports for a version that was made from a pretrained model, and what these need of each
#: other; a GGUF file is read at the import of such a model alone.
LIBRARIES_OF_PRETRAINED = ("accelerate", "peft", "transformers")
_KINDS = {".py", ".json", ".j2", ".typed", ".yaml"}
# The earliest date that a zip archive can hold: files of the same code have the same bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_DIGEST_CHARACTERS = 16


@dataclass(frozen=True, kw_only=True)
class CodeWheel:
    """A wheel of the running code.

    Attributes:
        version: The project's, and behind a `+` a digest of the code. No public index takes such
            a version, so a package of somebody else's can never be meant by it.
        content: The file.
    """

    version: str
    content: bytes

    @property
    def stem(self) -> str:
        """Beginning of the names of its files."""
        return f"lmcore-{self.version}"

    def write(self, model: Path) -> None:
        """Put it into MLflow's folder of a model, with the requirement that names it."""
        folder = model / FOLDER
        folder.mkdir()
        (folder / f"{self.stem}-py3-none-any.whl").write_bytes(self.content)
        # Installers read both relative to the file that says so, whatever the working directory.
        lines = _lines("--find-links .", f"lmcore=={self.version}")
        (folder / f"{self.stem}.txt").write_bytes(lines)

    def requirements(self, *, pretrained: bool = False) -> list[str]:
        """What a server needs, as lines of a requirements file that lies beside `FOLDER`.

        Ours is in a file of its own: MLflow compares what it reads with what is installed, and
        would say of every load that a checkout is not this wheel. The `=` keeps it from reading
        on. The version is in the name, for MLflow uses an environment again for the same lines.

        Args:
            pretrained: Whether the version was made from a pretrained model.
        """
        names = sorted((*LIBRARIES, *(LIBRARIES_OF_PRETRAINED if pretrained else ()), "mlflow"))
        # Builds for a processor, such as 2.13.0+cpu, are not on every index.
        pins = [f"{name}=={importlib.metadata.version(name).split('+')[0]}" for name in names]
        return [f"--requirement={FOLDER}/{self.stem}.txt", *pins]


@functools.cache
def code_wheel() -> CodeWheel:
    """The wheel of the code that runs; made in a fraction of a second, once a process."""
    files = _package_files()
    sha = hashlib.sha256()
    for name, content in files.items():
        sha.update(f"{name}\0{len(content)}\0".encode())
        sha.update(content)
    version = f"{lmcore.__version__}+{sha.hexdigest()[:_DIGEST_CHARACTERS]}"
    info = f"lmcore-{version}.dist-info"
    files[f"{info}/METADATA"] = _metadata(version)
    files[f"{info}/WHEEL"] = _lines(
        "Wheel-Version: 1.0", "Generator: lmcore", "Root-Is-Purelib: true", "Tag: py3-none-any"
    )
    record = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{info}/RECORD"] = _lines(*record, f"{info}/RECORD,,")
    return CodeWheel(version=version, content=_archive(files))


def _package_files() -> dict[str, bytes]:
    """Everything that belongs to the package, by its place when installed."""
    package = Path(lmcore.__file__).parent
    found = {
        f"lmcore/{path.relative_to(package).as_posix()}": path
        for path in package.rglob("*")
        if path.suffix in _KINDS and path.is_file()
    }
    # In a checkout the values lie beside the package.
    values = shipped("gates.yaml").parent
    found.update({f"lmcore/configs/{path.name}": path for path in values.glob("*.yaml")})
    return {name: found[name].read_bytes() for name in sorted(found)}


def _metadata(version: str) -> bytes:
    return _lines(
        *("Metadata-Version: 2.1", "Name: lmcore", f"Version: {version}", "License: MIT"),
        "Summary: What a registered model version needs to answer.",
        "Requires-Python: >=3.11,<3.12",
        *(f"Requires-Dist: {name}" for name in LIBRARIES),
    )


def _archive(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name, date_time=_EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o100644 << 16
            archive.writestr(member, content)
    return made.getvalue()


def _digest(content: bytes) -> str:
    """A hash as the format of wheels spells it (PEP 427)."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
