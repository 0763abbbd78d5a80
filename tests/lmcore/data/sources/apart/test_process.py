"""Files that mean no good, read by real libraries in a real process: bounded and told."""

import contextlib
import io
import re
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import office_files as office
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.sources.apart import process
from lmcore.data.sources.apart.limits import Limits
from lmcore.data.sources.apart.process import Kept, kept_processes
from lmcore.data.sources.located import fingerprint_sources
from lmcore.data.sources.looks import look
from lmcore.data.sources.readers import read_source
from lmcore.data.sources.records import BadInput, Record
from lmcore.errors import LmcoreError

Put = Callable[[str, str | bytes], Path]
Read = Callable[..., list[Any]]
_WHOLE = DataConfig(unit="file")
_PAGE = office.html_page(["A page of which the text is read as ever."])


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a test meets soon; those of a run are for slow machines."""
    limits = Limits(memory_bytes=1 << 30, processor_seconds=1, seconds_per_mib=0)
    monkeypatch.setattr(process, "LIMITS", limits)


@pytest.fixture
def kept() -> Iterator[Kept]:
    with kept_processes() as processes:
        yield processes


def _changed(archive: bytes, name: str, old: bytes, new: bytes) -> bytes:
    """An archive of which one member holds something else."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(archive)) as before,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for info in before.infolist():
            data = before.read(info)
            assert info.filename != name or old in data
            after.writestr(info, data.replace(old, new) if info.filename == name else data)
    return out.getvalue()


def _of_many_cells(num_rows: int = 1) -> bytes:
    """A sheet of a kilobyte whose last cell is the last that there can be."""
    sheet = office.xlsx({"s": [["text"], *([f"Row {i} of a sheet."] for i in range(num_rows))]})
    name, said = "xl/worksheets/sheet1.xml", f'ref="A1:A{num_rows + 1}"'.encode()
    last = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    sheet = _changed(sheet, name, said, b'ref="A1:XFD1048576"')
    return _changed(sheet, name, b"</sheetData>", last)


def _of_many_elements() -> bytes:
    text = office.docx(["text"])
    return _changed(text, "word/document.xml", b"<w:body>", b"<w:body>" + b"<w:p/>" * 3_000_000)


def _pdf(content: bytes, *, num_pages: int = 1) -> bytes:
    """A PDF whose pages are all the same one; `content` is packed."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (num_pages, b"3 0 R " * num_pages),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R"
        b"/Resources<</Font<</F 5 0 R>>>>>>",
        b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out = b"%PDF-1.4\n"
    table = b"xref\n0 6\n0000000000 65535 f \n"
    for number, each in enumerate(objects, start=1):
        table += b"%010d 00000 n \n" % len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    end = b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(out)
    return out + table + end


def _of_gigabytes() -> bytes:
    packer = zlib.compressobj(9)
    head = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return _pdf(head + piece * 4_000)


HOSTILE = {
    "a sheet of 17 thousand million cells": ("x.xlsx", _of_many_cells, "1 s of processor time"),
    "a thousand times a long page": (
        "x.pdf",
        lambda: _pdf(zlib.compress(b"BT /F1 12 Tf ET\n" * 20_000), num_pages=1_000),
        "1 s of processor time",
    ),
    "a page of 4 GB": ("x.pdf", _of_gigabytes, "not PDF that can be read"),
    "3 million paragraphs": ("x.docx", _of_many_elements, "400 MiB of memory"),
    "a tree of half a million levels": (
        "x.html",
        lambda: b"<div>" * 500_000 + b"text",
        "a page without any text",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.usefixtures("narrow")
def test_a_hostile_file_is_set_aside_and_the_next_is_read(
    put: Put, read: Read, kind: str, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, content, reason = HOSTILE[kind]
    if "memory" in reason:
        limits = Limits(memory_bytes=400 << 20, processor_seconds=60)
        monkeypatch.setattr(process, "LIMITS", limits)
    folder = put(name, content()).parent
    put("y.html", _PAGE)
    before = kept.num_begun
    bad, good = read(folder, data=_WHOLE)
    assert isinstance(bad, BadInput)
    assert reason in bad.reason
    assert "more than" not in bad.reason or bad.condemns_file
    assert isinstance(good, Record)
    # One more for each that had to be ended, and no more; the first may have begun here.
    assert kept.num_begun - before <= 2
    assert reason in look(folder / name, name=name).problem or name != "x.xlsx"


@pytest.mark.usefixtures("narrow")
def test_a_member_that_takes_too_long_costs_itself_and_not_its_archive(
    tmp_path: Path, run_ingest: Any
) -> None:
    texts = {f"{i}.txt": f"The text {i} of an archive." for i in range(60)}
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("30.xlsx", _of_many_cells(9))
        for name, text in texts.items():
            archive.writestr(name, text)
    found = run_ingest({"path": str(tmp_path / "all.zip")}, unit="file", near_duplicates=False)
    assert {document.text for document in found.iter_documents()} == set(texts.values())
    (aside,) = found.quarantine()
    assert aside["path"] == "all.zip/30.xlsx"


def test_a_library_that_crashes_costs_its_file(
    put: Put, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put("docx.py", "import os\nos.abort()").parent
    monkeypatch.syspath_prepend(folder)
    put("a.docx", office.docx(["text"]))
    put("b.html", _PAGE)
    # Another thread has no process that found the library already.
    with ThreadPoolExecutor() as threads:
        bad, good = threads.submit(read, folder, data=_WHOLE, files="[ab].*").result()
    assert bad.reason == "the library that reads it crashes (SIGABRT)"
    assert isinstance(good, Record)


def test_a_process_that_does_not_begin_is_an_error_and_no_fault_of_the_file(
    put: Put, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put("a.html", _PAGE)
    for worker, message in ((("-c", "raise SystemExit(3)"), "exit status 3"), (None, "started")):
        if worker is None:
            monkeypatch.setattr(sys, "executable", str(path))
        else:
            monkeypatch.setattr(process, "_WORKER", worker)
        with ThreadPoolExecutor() as threads, pytest.raises(LmcoreError, match=message):
            threads.submit(read, path).result()


def _footer_lies() -> dict[str, tuple[bytes, str]]:
    """A Parquet file whose footer says something else than its pages, and what is said of it."""
    out = io.BytesIO()
    rows = [f"row {i} of a table" for i in range(300)]
    pq.write_table(pa.table({"text": rows}), out, row_group_size=100)
    raw = out.getvalue()
    start = len(raw) - 8 - int.from_bytes(raw[-8:-4], "little")
    footer = raw[start:-8]

    def lying(old: int, new: int) -> bytes:
        """Each number of the footer that is `old` is `new`."""
        # A number of 64 bits stands behind its kind and the distance of its field to the last one.
        told = re.sub(rb"([\x16\x26])" + re.escape(_varint(old)), rb"\1" + _varint(new), footer)
        assert told != footer
        return raw[:start] + told + len(told).to_bytes(4, "little") + b"PAR1"

    place = pq.ParquetFile(out).metadata.row_group(1).column(0).data_page_offset
    size = pq.ParquetFile(out).metadata.row_group(1).column(0).total_uncompressed_size
    return {
        "rows": (lying(300, 1 << 40), "as a decompression bomb does"),
        "values": (lying(100, 1 << 40), ""),
        "bytes": (lying(size, 1 << 50), "as a decompression bomb does"),
        "places": (lying(place, 1 << 50), ""),
    }


def _varint(number: int) -> bytes:
    """An integer as Thrift's compact protocol writes it."""
    number <<= 1
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


@pytest.mark.parametrize("lie", _footer_lies())
@pytest.mark.usefixtures("narrow")
def test_a_table_whose_footer_lies_costs_no_more_than_itself(
    put: Put, read: Read, lie: str
) -> None:
    raw, reason = _footer_lies()[lie]
    items = read(put("t.parquet", raw))
    if reason:
        assert isinstance(items[-1], BadInput)
        assert reason in items[-1].reason
    else:  # nobody asks for what is not true, and the pages are
        assert [item.text for item in items] == [f"row {i} of a table" for i in range(300)]


@pytest.mark.usefixtures("narrow")
def test_a_table_of_thousands_of_columns_is_read_as_any_other(tmp_path: Path, read: Read) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": ["a"], **{f"c{i}": [1] for i in range(4_000)}}), path)
    (found,) = read(path)
    assert found.text == "a"
    assert len(look(path, name=path.name).header) == 4_001


def test_plain_text_begins_no_process(put: Put) -> None:
    put("a.txt", "text")
    put("b.jsonl", '{"text": "a"}')
    folder = put("c.csv", "text\na\n").parent

    def num_begun() -> int:
        (source,) = fingerprint_sources([SourceConfig(path=str(folder))]).sources
        with kept_processes() as kept:
            assert sum(isinstance(x, Record) for x in read_source(source, data=DataConfig())) == 3
            return kept.num_begun

    with ThreadPoolExecutor() as threads:
        assert threads.submit(num_begun).result() == 0


def test_one_process_reads_all_files_also_where_nobody_wants_the_rest(put: Put, kept: Kept) -> None:
    path = put("t.parquet", b"")
    pq.write_table(pa.table({"text": [f"row {i} {'and more ' * 20}" for i in range(20_000)]}), path)
    (source,) = fingerprint_sources([SourceConfig(path=str(path))]).sources
    before = kept.num_begun
    for _ in range(3):
        with contextlib.closing(read_source(source, data=DataConfig())) as items:  # type: ignore[type-var]
            assert any(isinstance(item, Record) for item in items)
    assert kept.num_begun - before <= 1


_READS_FOR_EVER = """
    import subprocess, sys
    from lmcore.data.config import DataConfig, SourceConfig
    from lmcore.data.sources.located import fingerprint_sources
    from lmcore.data.sources.readers import read_source

    begin = subprocess.Popen
    def told(*args, **kwargs):
        process = begin(*args, **kwargs)
        print(process.pid, flush=True)
        return process

    subprocess.Popen = told
    (source,) = fingerprint_sources([SourceConfig(path=sys.argv[1])]).sources
    list(read_source(source, data=DataConfig()))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_where_the_process_that_asked_is_ended(
    put: Put, number: signal.Signals
) -> None:
    path = put("x.xlsx", _of_many_cells())
    script = textwrap.dedent(_READS_FOR_EVER)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(number)
        assert parent.wait() != 0
    # Of one that nobody waits for any more, the system may still tell for a moment.
    deadline = time.monotonic() + 60
    while _lives(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _lives(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
