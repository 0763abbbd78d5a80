"""Headers of tar archives that lie: told, bounded, and never the end of a run."""

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.sources.bombs import BombError
from lmcore.data.sources.located import fingerprint_sources
from lmcore.data.sources.readers import read_source
from lmcore.data.sources.records import BadInput, Record
from lmcore.data.sources.tape import MAX_HEADER_BYTES, tar_members


def header(name: str, size: int, **values: Any) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    pax = values.pop("pax", {})
    for key, value in values.items():
        setattr(info, key, value)
    info.pax_headers = pax
    return info.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT, errors="surrogateescape")


def member(name: str, data: bytes, *, size: int | None = None, **values: Any) -> bytes:
    head = header(name, len(data) if size is None else size, **values)
    return head + data + bytes(-len(data) % 512)


GOOD, END = member("good.txt", b"good text"), bytes(1024)


def old_sparse() -> bytes:
    """A map that goes on in a block which is not there."""
    raw = bytearray(header("s.txt", 5, type=tarfile.GNUTYPE_SPARSE))
    raw[482] = 1
    raw[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(raw))[0]  # type: ignore[attr-defined]
    return bytes(raw)


def damaged(raw: bytes) -> bytes:
    return raw[:150] + bytes([raw[150] ^ 0x55]) + raw[151:]


# What ends an archive, and a word of the reason.
ENDS = {
    "more than any disk": (member("a.txt", b"x", size=1 << 80), "claims 12089258196"),
    "more, by a PAX header": (member("a.txt", b"x", pax={"size": str(1 << 80)}), "claims 12089258"),
    "a negative size": (member("a.txt", b"x", size=-512), "claims -512 bytes"),
    "a negative PAX size": (member("a.txt", b"x", pax={"size": "-512"}), "claims -512 bytes"),
    "a size of many digits": (member("a.txt", b"x", pax={"size": "9" * 99}), "claims 9999"),
    "a number that never ends": (
        member("p", b"1" * 9000, type=tarfile.XHDTYPE),
        "a number of 100 digits",
    ),
    "a sparse size that is none": (
        member("a.txt", b"x", pax={"GNU.sparse.realsize": "x"}),
        "the header of a member",
    ),
    "a sparse map that is cut off": (old_sparse(), "unexpected end of data"),
    "a damaged header": (damaged(GOOD), "the header of a member"),
    "half a header": (GOOD[:200], "the header of a member"),
    "half a member": (header("a.txt", 5000), ""),
    "headers in headers": (
        member("p", b"9 a=bcde\n", type=tarfile.XHDTYPE) * 2000,
        "the header of a member",
    ),
}
SPARSE = {
    "0.0": {"GNU.sparse.size": "5", "GNU.sparse.numblocks": "x"},
    "0.1": {"GNU.sparse.map": "a,b"},
    "1.0": {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
}


def read(path: Path) -> tuple[list[str], dict[str, str]]:
    (source,) = fingerprint_sources([SourceConfig(path=str(path))]).sources
    items = list(read_source(source, data=DataConfig(unit="file")))
    return (
        [item.file for item in items if isinstance(item, Record)],
        {item.file: item.reason for item in items if isinstance(item, BadInput)},
    )


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize("packed", [False, True])
def test_what_stands_before_a_lie_is_kept_and_the_lie_is_told(
    tmp_path: Path, kind: str, packed: bool
) -> None:
    lie, reason = ENDS[kind]
    whole = lie.endswith(bytes(1)) and kind not in ("half a member", "a sparse map that is cut off")
    raw = GOOD + lie + (GOOD + END if whole else b"")
    path = tmp_path / ("a.tar.gz" if packed else "a.tar")
    path.write_bytes(gzip.compress(raw) if packed else raw)
    names, bad = read(path)
    assert names == [f"{path.name}/good.txt"]
    assert bad
    assert any(reason in told for told in bad.values())


@pytest.mark.parametrize("form", SPARSE)
def test_the_map_of_a_sparse_member_is_not_read(tmp_path: Path, form: str) -> None:
    data = b"9999999\n" + b"1\n" * 252
    path = tmp_path / "a.tar"
    sparse = member("a.txt", data, pax=SPARSE[form])
    path.write_bytes(GOOD + sparse + member("b.txt", b"more") + END)
    names, bad = read(path)
    assert names == ["a.tar/good.txt", "a.tar/b.txt"]
    assert "sparse member" in bad["a.tar/a.txt"]


def test_headers_cannot_fill_the_memory() -> None:
    one = header("x", MAX_HEADER_BYTES + 1, type=tarfile.XHDTYPE)
    many = member("x", b"9 a=bcde\n" * 60_000, type=tarfile.XGLTYPE) * 3
    for raw in (one, many):
        with pytest.raises(BombError, match="header"):
            list(tar_members(io.BytesIO(raw), most_bytes=1 << 30))


@settings(deadline=None, max_examples=30)
@given(
    names=st.lists(st.text(min_size=1, max_size=120), max_size=4),
    form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    data=st.binary(max_size=1200),
)
def test_a_sound_archive_gives_what_it_holds(names: list[str], form: int, data: bytes) -> None:
    packed = io.BytesIO()
    with tarfile.open(
        fileobj=packed, mode="w", format=form, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    raw = packed.getvalue()
    members = tar_members(io.BytesIO(raw), most_bytes=len(raw))
    found = [stream.read() for _, stream in members if stream is not None]
    assert found == [data] * len(names)
