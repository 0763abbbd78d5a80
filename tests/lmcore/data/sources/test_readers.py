"""Every format, plain and packed, good and bad: what comes out, and with which reason."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.sources.located import fingerprint_sources
from lmcore.data.sources.readers import resolve_unit
from lmcore.data.sources.records import BadInput, Record
from lmcore.errors import SourceError


def texts(items: list[Any]) -> list[str]:
    return [item.text for item in items if isinstance(item, Record)]


def bad(items: list[Any]) -> list[tuple[int, str]]:
    return [(item.position, item.reason) for item in items if isinstance(item, BadInput)]


Put = Callable[[str, str | bytes], Path]
PutRows = Callable[[str], Path]
Read = Callable[..., list[Any]]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv", "txt", "parquet"])
@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_every_format_gives_the_same_texts_plain_and_packed(
    tmp_path: Path, kind: str, packing: str, read: Read, put_rows: PutRows
) -> None:
    path = put_rows(kind)
    if packing:
        pack = gzip.compress if packing == ".gz" else zstandard.ZstdCompressor().compress
        path = path.with_name(path.name + packing)
        path.write_bytes(pack(path.with_suffix("").read_bytes()))
    items = read(path, data=DataConfig(unit="line" if kind == "txt" else "auto"))
    if kind == "parquet" and packing:
        assert bad(items) == [(0, "a packed Parquet file is not read; unpack it")]
    else:
        assert texts(items) == ["first", 'has "quotes"']


def test_parallel_files_are_aligned_by_line(put: Put, read: Read) -> None:
    left, right = put("a.de", "eins\n\nzwei\n"), put("a.en", "one\n\ntwo\n")
    items = read(left, format="parallel", target_path=str(right))
    assert [(r.text, r.target) for r in items] == [("eins", "one"), ("", ""), ("zwei", "two")]
    right.write_bytes(b"one\n\xff\ntwo\n")
    items = read(left, format="parallel", target_path=str(right))
    assert bad(items) == [(2, "invalid UTF-8")]
    right.write_text("one\n")
    with pytest.raises(SourceError, match=r"a\.en has 1 line and a\.de has more"):
        read(left, format="parallel", target_path=str(right))


def test_parallel_files_may_be_in_other_encodings(put: Put, read: Read) -> None:
    left = put("a.de", "Bär\nStraße\n".encode("utf-16"))
    right = put("a.en", "bear\nstreet\n")
    items = read(left, format="parallel", target_path=str(right))
    assert [(r.text, r.target) for r in items] == [("Bär", "bear"), ("Straße", "street")]
    left.write_bytes("Bär\nStraße\n".encode("utf-16-le"))
    with pytest.raises(SourceError, match=r"a\.de: UTF-16 without a mark; set encoding: utf-16-le"):
        read(left, format="parallel", target_path=str(right))
    left.write_bytes("Bär\nStraße\n".encode("cp1252"))
    right.write_bytes("bear\ncafé\n".encode("cp1252"))
    items = read(left, format="parallel", target_path=str(right), encoding="cp1252")
    assert [(r.text, r.target) for r in items] == [("Bär", "bear"), ("Straße", "café")]


def test_binary_and_empty_files_are_refused(put: Put, read: Read) -> None:
    assert bad(read(put("a.txt", b"PNG\x00\x01data"))) == [(0, "a binary file, not text")]
    assert bad(read(put("c.txt", ""))) == [(0, "empty file")]
    assert bad(read(put("d.jsonl", b"\x00" * 500))) == [(0, "a binary file, not text")]
    assert bad(read(put("e.parquet", "no parquet at all")))[0][1].startswith("not Parquet")


def test_truncated_gzip_keeps_what_came_before(tmp_path: Path, read: Read) -> None:
    lines = b"".join(b"line %d is here\n" % i for i in range(20_000))
    path = tmp_path / "t.txt.gz"
    path.write_bytes(gzip.compress(lines)[:-2_000])
    items = read(path, format="lines")
    assert texts(items)[:2] == ["line 0 is here", "line 1 is here"]
    ((position, reason),) = bad(items)
    assert position == 0
    assert "damaged" in reason
    path.write_bytes(b"not gzip at all")
    assert "damaged" in bad(read(path))[0][1]


def test_the_unit_is_the_file_from_fifty_files_on(tmp_path: Path) -> None:
    for i in range(49):
        (tmp_path / f"{i:02}.txt").write_text(f"text {i}")

    def unit(**data: Any) -> str:
        (source,) = fingerprint_sources([SourceConfig(path=str(tmp_path))]).sources
        return resolve_unit(source, data=DataConfig(**data))

    assert unit() == "paragraph"
    (tmp_path / "49.txt").write_text("text")
    assert unit() == "file"
    assert unit(unit="line") == "line"
