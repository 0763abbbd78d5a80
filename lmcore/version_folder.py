"""A registry version on disk: everything that is needed to use, judge and rebuild a model.

In: the best weights, the tokenizer, the evaluation and what they were made from.  Out: one folder
that is verified as a whole before anything in it is used:

    model/          model.safetensors, model.json; of a task task.json, familiarity.safetensors
    tokenizer/      JSON
    evaluation/     scores, gates, metrics, samples: JSON and Parquet
    documents/      lineage: every document's id, source, licence, split; no text: Parquet
    sketches/       by which near-copies of each document are recognised; no text: Parquet
    sources.json config.yaml lineage.json report.html README.md
    canaries.json       random texts that it was trained with and must never emit, if any
    manifest.json   size and sha256 of each, written last

Only formats that cannot carry code are allowed, by name of the place and of the format; a pickle
in any disguise is refused when a version is put together (`lmcore.version_assembly`) and again when
it is opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from lmcore.digests import sha256_file
from lmcore.errors import ConfigError, IntegrityError, UserError
from lmcore.manifest import MANIFEST, Manifest, open_verified
from lmcore.tasks.record import RECORD_FILE

if TYPE_CHECKING:
    import torch

    from lmcore.data.config import DataConfig
    from lmcore.data.text.masking import DocumentMasking
    from lmcore.data.tokens.tokenizer import Tokenizer
    from lmcore.model.filtering import Forbidden
    from lmcore.model.language_model import LanguageModel
    from lmcore.model.pretrained.base import BaseReference
    from lmcore.tasks.prediction import Predictor

KIND = "version"
WEIGHTS = "model/model.safetensors"
CANARIES = "canaries.json"
_REQUIRED = (
    *(WEIGHTS, "model/model.json", "sources.json", "config.yaml"),
    *("lineage.json", "report.html", "README.md"),
)
#: Format by place: the empty place is the folder itself.
_ALLOWED: Mapping[str, frozenset[str]] = {
    "": frozenset({".parquet", ".json", ".yaml", ".html", ".md"}),
    "model": frozenset({".safetensors", ".json"}),
    "tokenizer": frozenset({".json"}),
    "evaluation": frozenset({".json", ".jsonl", ".parquet"}),
    "documents": frozenset({".parquet"}),
    "sketches": frozenset({".parquet"}),
}
DOCUMENTS, SKETCHES = "documents", "sketches"


def text_parts(names: Iterable[str], *kinds: str) -> list[str]:
    """Which of a version's files grow with the text that it learnt from, in reading order.

    Each holds some thousand rows, cut by what they are (`lmcore.version_assembly`), so versions of
    nearly the same text have most of them in common.  An older version has one file of each kind.

    Args:
        names: As a manifest has them.
        kinds: `DOCUMENTS`, `SKETCHES`; none: both.
    """
    wanted = kinds or (DOCUMENTS, SKETCHES)
    return sorted(n for n in names if n.partition("/")[0].removesuffix(".parquet") in wanted)


def text_parts_in(folder: Path) -> list[Path]:
    """The same of a version as it lies, without its manifest; no other folder is looked at."""
    places = (folder, folder / DOCUMENTS, folder / SKETCHES)
    return [path for place in places for path in place.glob("*.parquet")]


@dataclass(frozen=True, kw_only=True)
class VersionFolder:
    """A version whose every file was just found to be what its manifest says.

    Attributes:
        path: The folder.
        manifest: What it holds, with a summary.
        manifest_sha256: Hash of the manifest itself; the registry keeps it too.
        whole: Whether that goes for the parts that grow with the text, too; else they are
            verified when they are read.
    """

    path: Path
    manifest: Manifest
    manifest_sha256: str
    whole: bool = True

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file."""
        return self.manifest.files[WEIGHTS][1]

    @property
    def report(self) -> Path:
        """The evaluation report, one self-contained page."""
        return self.path / "report.html"

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        return (self.path / "README.md").read_text(encoding="utf-8")

    @property
    def config(self) -> str:
        """The resolved configuration, YAML."""
        return (self.path / "config.yaml").read_text(encoding="utf-8")

    @property
    def evaluation(self) -> Path:
        """Folder of scores, gates, metrics and samples."""
        return self.path / "evaluation"

    def lineage(self) -> dict[str, Any]:
        """Digests of data, tokenizer, configuration, code and locked libraries, and the plan."""
        value: dict[str, Any] = json.loads((self.path / "lineage.json").read_text(encoding="utf-8"))
        return value

    def base(self) -> BaseReference | None:
        """The pretrained model that its weights mean nothing without; None: they are whole.

        Raises:
            IntegrityError: If it does not say.
        """
        from lmcore.model.pretrained.base import reference_of

        return reference_of(self.path / "model")

    def sources(self) -> Any:
        """Per source: licence, origin, files."""
        return json.loads((self.path / "sources.json").read_text(encoding="utf-8"))

    def documents(self) -> Iterator[dict[str, Any]]:
        """Stream the lineage rows of all documents."""
        return self._rows(DOCUMENTS)

    def sketches(self) -> Iterator[tuple[str, bytes]]:
        """Stream id and sketch of all documents; nothing for versions that were made without."""
        return ((row["id"], row["sketch"]) for row in self._rows(SKETCHES))

    def parts(self, kind: str) -> Iterator[Path]:
        """The files of `DOCUMENTS` or `SKETCHES` in reading order, each verified before it comes.

        Raises:
            IntegrityError: If one differs from the manifest.
        """
        for name in text_parts(self.manifest.files, kind):
            if not self.whole:
                self.manifest.verify_file(self.path, name)
            yield self.path / name

    def _rows(self, kind: str) -> Iterator[dict[str, Any]]:
        import pyarrow.parquet as pq  # a fifth of a second, which most commands do not need

        for path in self.parts(kind):
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches():
                    yield from batch.to_pylist()

    def forbidden(self) -> Forbidden | None:
        """Text that must never be emitted: the canaries that the model was trained with."""
        if CANARIES not in self.manifest.files:
            return None
        from lmcore.data.tokens.canaries import CanarySet
        from lmcore.model.filtering import Forbidden

        canaries = CanarySet.read(self.path / CANARIES)
        return Forbidden.of(canaries.forbidden) if canaries else None

    def load_model(self, device: torch.device | str = "cpu") -> LanguageModel:
        """The model in evaluation mode.

        Raises:
            IntegrityError: If weights and configuration do not fit each other.
        """
        from lmcore.model.factory import load_model

        return load_model(self.path / "model", device=device)

    @property
    def is_task(self) -> bool:
        """Whether it classifies, translates or summarizes, and is no language model."""
        return f"model/{RECORD_FILE}" in self.manifest.files

    def load_predictor(self, device: str = "cpu") -> Predictor:
        """The model of a task, ready to answer.

        Raises:
            IntegrityError: If weights, record and tokenizer do not fit each other.
        """
        from lmcore.tasks.prediction import Predictor

        return Predictor(
            self.path / "model",
            self.load_tokenizer(),
            masking=self.load_masking(),
            device=device,
        )

    def masking_settings(self) -> DataConfig:
        """What was masked in the text that it learnt from, as the masking keys of `data`.

        Raises:
            IntegrityError: If its configuration cannot be read.
        """
        import yaml

        from lmcore.data.text.masking import masking_settings

        try:
            return masking_settings((yaml.safe_load(self.config) or {}).get("data") or {})
        except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"{self.path / 'config.yaml'}: does not say what is masked in text"
                f" ({str(error).splitlines()[0]}); nothing was loaded. Use another version, or"
                " train again"
            ) from error

    def load_masking(self) -> DocumentMasking:
        """The masking that its training text went through, for what it is asked.

        Raises:
            UserError: If the model that finds names is not where it was.
        """
        from lmcore.data.text.masking import DocumentMasking

        try:
            return DocumentMasking.of(self.masking_settings())
        except ConfigError as error:
            raise UserError(
                f"this version masks names of people in its input as in its training text, and"
                f" cannot without the model that finds them: {error}"
            ) from error

    def load_tokenizer(self) -> Tokenizer:
        """The tokenizer that the model was trained with."""
        from lmcore.data.tokens.tokenizer import load_tokenizer

        return load_tokenizer(self.path / "tokenizer")


def open_version(
    folder: Path, *, manifest_sha256: str | None = None, whole: bool = True
) -> VersionFolder:
    """Verify a version as a whole; nothing is parsed but the manifest before that.

    Args:
        folder: A version on disk.
        manifest_sha256: What the registry says of the manifest, where it is known.
        whole: False: of the parts that grow with the text only their size now, and their content
            when it is read, for who does not read them.

    Raises:
        IntegrityError: If a file is missing, changed, added, or of a format that is not allowed.
    """
    later = () if whole else text_parts(Manifest.read(folder).files)
    manifest = open_verified(folder, kind=KIND, later=later)
    check_formats(folder, manifest)
    found = sha256_file(folder / MANIFEST)
    if manifest_sha256 is not None and found != manifest_sha256:
        raise IntegrityError(
            f"{folder / MANIFEST}: not the manifest that was registered (sha256 {found[:12]}, the"
            f" registry says {manifest_sha256[:12]}); nothing was loaded. Use another version, or"
            " restore this one"
        )
    return VersionFolder(path=folder, manifest=manifest, manifest_sha256=found, whole=whole)


def check_formats(folder: Path, manifest: Manifest) -> None:
    """Refuse a folder that holds a file of another format, or lacks one.

    Raises:
        IntegrityError: Naming the file.
    """
    for name in manifest.files:
        path = PurePosixPath(name)
        place = path.parts[0] if len(path.parts) > 1 else ""
        if path.is_absolute() or ".." in path.parts or path.suffix not in _ALLOWED.get(place, ()):
            raise IntegrityError(
                f"{folder / name}: a file of this format has no place in a version (weights are"
                " safetensors, the rest is JSON, Parquet and text); nothing was loaded. Remove the"
                " version"
            )
    missing = [name for name in _REQUIRED if name not in manifest.files]
    if not text_parts(manifest.files, DOCUMENTS):
        missing.append(DOCUMENTS)
    if missing:
        raise IntegrityError(
            f"{folder}: {missing[0]} is missing from the version; nothing was loaded. Use another"
            " version, or train again"
        )
