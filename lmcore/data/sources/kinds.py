"""The kinds of file that are read: their endings, their readers, and how a name tells them.

One row a kind.  A reader's module is imported when the first file of its kind is
read, as some need libraries that take a while or are not installed.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Literal, cast

from lmcore.data.config import SourceConfig
from lmcore.data.sources.archives import container, content_name
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import Piece

Shape = Literal["text", "document", "records"]
Reader = Callable[[IO[bytes], Reading], Iterator[Piece]]
_PACKAGE = "lmcore.data.sources.formats"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file.

    Attributes:
        reader: Module and function.
        endings: By which `format: auto` knows it.
        shape: `text` is cut as it streams, a `document` is one text that is cut like it, and
            `records` are documents as they are.
        is_binary: Whether its bytes are no text, so that no encoding applies.
        needs_file: Whether it can only be read from a plain file, not from a stream.
        libraries: Distributions that decide what its text is.
        is_apart: Whether a library has all of it in hand, so that it is read in a process apart.
    """

    reader: str
    endings: tuple[str, ...] = ()
    shape: Shape = "records"
    is_binary: bool = False
    needs_file: bool = False
    libraries: tuple[str, ...] = ()
    is_apart: bool = False

    def read(self, stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
        """Read one stream."""
        if self.is_apart:
            from lmcore.data.sources.apart.process import read_apart

            return read_apart(self.reader, stream, reading)
        return reader(self.reader)(stream, reading)


def reader(name: str) -> Reader:
    """A reader by its module and function."""
    module, _, function = name.partition(".")
    return cast(Reader, getattr(importlib.import_module(f"{_PACKAGE}.{module}"), function))


_HTML = ("inscriptis", "trafilatura")
_MAIL = ("inscriptis", "mail-parser-reply")

KINDS: dict[str, Kind] = {
    "text": Kind(reader="text.read_text", endings=(".txt", ".text", ".rst"), shape="text"),
    "lines": Kind(reader="text.read_lines", shape="text"),
    "markdown": Kind(
        reader="markdown.read_markdown", endings=(".md", ".markdown"), shape="document"
    ),
    "jsonl": Kind(reader="objects.read_jsonl", endings=(".jsonl", ".ndjson")),
    "json": Kind(reader="objects.read_json", endings=(".json",)),
    "yaml": Kind(reader="objects.read_yaml", endings=(".yaml", ".yml")),
    "csv": Kind(reader="delimited.read_csv", endings=(".csv",)),
    "tsv": Kind(reader="delimited.read_tsv", endings=(".tsv", ".tab")),
    "parquet": Kind(
        reader="parquet.read_parquet",
        endings=(".parquet",),
        is_binary=True,
        needs_file=True,
        is_apart=True,
    ),
    "xlsx": Kind(
        reader="spreadsheet.read_xlsx",
        endings=(".xlsx", ".xlsm"),
        is_binary=True,
        libraries=("openpyxl",),
        is_apart=True,
    ),
    "html": Kind(
        reader="html.read_html",
        endings=(".html", ".htm", ".xhtml"),
        shape="document",
        libraries=_HTML,
        is_apart=True,
    ),
    "pdf": Kind(
        reader="pdf.read_pdf",
        endings=(".pdf",),
        shape="document",
        is_binary=True,
        libraries=("pypdf",),
        is_apart=True,
    ),
    "docx": Kind(
        reader="office.read_docx",
        endings=(".docx", ".docm"),
        shape="document",
        is_binary=True,
        libraries=("python-docx",),
        is_apart=True,
    ),
    "odt": Kind(
        reader="office.read_odt",
        endings=(".odt",),
        shape="document",
        is_binary=True,
        libraries=("odfdo",),
        is_apart=True,
    ),
    "rtf": Kind(
        reader="office.read_rtf",
        endings=(".rtf",),
        shape="document",
        is_binary=True,
        libraries=("striprtf",),
        is_apart=True,
    ),
    "epub": Kind(
        reader="office.read_epub",
        endings=(".epub",),
        shape="document",
        is_binary=True,
        libraries=_HTML,
        is_apart=True,
    ),
    "mail": Kind(
        reader="mail.read_mail",
        endings=(".eml",),
        is_binary=True,
        libraries=_MAIL,
        is_apart=True,
    ),
    "mbox": Kind(
        reader="mail.read_mbox",
        endings=(".mbox",),
        is_binary=True,
        libraries=_MAIL,
        is_apart=True,
    ),
    "subtitles": Kind(
        reader="subtitles.read_subtitles",
        endings=(".srt", ".vtt", ".ass", ".ssa"),
        shape="document",
        libraries=("pysubs2",),
        is_apart=True,
    ),
    "chat": Kind(reader="chat.read_chat", shape="records"),
    "requests": Kind(reader="requests.read_requests"),
}
_BY_ENDING = {ending: name for name, kind in KINDS.items() for ending in kind.endings}

# Text that no library here reads: the file is set aside, and what to save it as is said.
_OTHER_TEXT = {
    ".doc": ".docx",
    ".dot": ".docx",
    ".pages": ".docx",
    ".wpd": ".docx",
    ".xls": ".xlsx",
    ".xlsb": ".xlsx",
    ".ods": ".xlsx or .csv",
    ".numbers": ".xlsx or .csv",
    ".ppt": ".pdf",
    ".pptx": ".pdf",
    ".odp": ".pdf",
    ".key": ".pdf",
    ".msg": ".eml",
    ".pst": ".mbox",
    ".mobi": ".epub",
    ".azw3": ".epub",
    ".djvu": ".pdf with a text layer",
    ".rar": ".zip",
    ".7z": ".zip",
    ".bz2": ".gz",
    ".xz": ".gz",
    ".lz4": ".gz",
    ".br": ".gz",
}
# Files without text of their own; a folder of text may well hold them.
_NO_TEXT = frozenset(
    f".{ending}"
    for endings in (
        "png jpg jpeg gif bmp tif tiff webp svg ico heic avif psd raw",
        "mp3 wav flac ogg oga opus m4a aac wma mid mp4 mkv avi mov webm wmv",
        "ttf otf woff woff2 eot css map exe dll so dylib a o class pyc jar",
        "npy npz pt bin safetensors onnx pkl db sqlite sqlite3 iso dmg lnk",
    )
    for ending in endings.split()
)
_BEGINNINGS = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a zip archive or an office file"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an office file of the old kind"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstandard"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"PAR1", "a Parquet file"),
    (b"{\\rtf", "RTF"),
    (b"SQLite format 3\x00", "a SQLite database"),
)


def kind_name(config: SourceConfig, name: str) -> str:
    """How a file of this name is read, before a look at what it holds."""
    if config.requests is not None:
        return "requests"
    if config.format != "auto":
        assert config.format != "parallel"
        return config.format
    return _BY_ENDING.get(_ending(name), "text")


def libraries_of(config: SourceConfig, names: Iterable[str]) -> tuple[str, ...]:
    """The distributions that decide what the text of these files is; of an archive's, all."""
    found: set[str] = set()
    for name in names:
        packed = container(name) in ("zip", "tar")
        kinds = KINDS.values() if packed else (KINDS[kind_name(config, name)],)
        found.update(library for kind in kinds for library in kind.libraries)
    return tuple(sorted(found))


def library_versions(*names: Iterable[str]) -> dict[str, str | None]:
    """The installed release of each distribution; None for one that is not installed."""
    versions: dict[str, str | None] = {}
    for name in sorted({name for group in names for name in group}):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def has_no_text(name: str) -> bool:
    """Whether a file is a picture, a sound, a program: nothing that a model of text is made of."""
    return _ending(name) in _NO_TEXT


def unread_kind(name: str) -> str:
    """Why a file that holds text of a kind without a reader is set aside; empty if it is not."""
    other = _OTHER_TEXT.get(_ending(name))
    return f"{_ending(name)} files are not read; save it as {other}" if other else ""


def disguise(head: bytes) -> str:
    """What a file that is to be text is instead, by its first bytes; empty if it may be text."""
    return next((what for mark, what in _BEGINNINGS if head.startswith(mark)), "")


def _ending(name: str) -> str:
    # Asked of every file; a path of the library would take ten times as long.
    stem, _, ending = content_name(name).rpartition("/")[2].rpartition(".")
    return f".{ending.lower()}" if stem and ending else ""
