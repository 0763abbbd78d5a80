"""Archives: nothing is extracted, nothing escapes, and bombs stop at the cap."""

import gzip
import io
import random
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.sources.archives import _ZstdFrames, container, content_name
from lmcore.data.sources.bombs import FREE_BYTES
from lmcore.data.sources.located import fingerprint_sources
from lmcore.data.sources.readers import read_source
from lmcore.data.sources.records import BadInput, LeftOut, Opened, Record
from lmcore.errors import SourceError


def read(path: Path, **config: Any) -> list[Any]:
    (source,) = fingerprint_sources([SourceConfig(path=str(path), **config)]).sources
    return list(read_source(source, data=DataConfig(unit="file")))


def texts(items: list[Any]) -> dict[str, str]:
    return {item.file: item.text for item in items if isinstance(item, Record)}


def bad(items: list[Any]) -> dict[str, str]:
    return {item.file: item.reason for item in items if isinstance(item, BadInput)}


def _tar(path: Path, members: list[tuple[str, bytes, Any]], *, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data, change in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in (change or {}).items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return path


def _pack(path: Path, kind: str) -> Path:
    members = [
        ("b/two.txt", b"two"),
        ("one.txt", b"one"),
        ("LICENSE", b"l"),
        ("c.jsonl", b'{"text": "j"}'),
    ]
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members:
                archive.writestr(name, data)
        return path
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    packed = {
        "tar": lambda data: data,
        "tgz": gzip.compress,
        "tar.gz": gzip.compress,
        "tar.zst": zstandard.ZstdCompressor().compress,
    }[kind](plain.getvalue())
    path.write_bytes(packed)
    return path


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz", "tar.gz", "tar.zst"])
def test_members_are_read_by_their_format(tmp_path: Path, kind: str) -> None:
    path = _pack(tmp_path / f"a.{kind}", kind)
    found = texts(read(path))
    assert found == {
        f"{path.name}/one.txt": "one",
        f"{path.name}/b/two.txt": "two",
        f"{path.name}/c.jsonl": "j",
    }
    assert list(texts(read(path, files="b/*.txt")).values()) == ["two"]
    # A pattern that finds the archive in a folder is no pattern for its members.
    assert len(texts(read(tmp_path, files=f"*.{kind}"))) == 3


ESCAPES: list[tuple[str, dict[str, Any]]] = [
    ("../evil.txt", {}),
    ("/etc/evil.txt", {}),
    ("a/../../evil.txt", {}),
    ("..\\evil.txt", {}),
    ("C:evil.txt", {}),
    ("link.txt", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
    ("hard.txt", {"type": tarfile.LNKTYPE, "linkname": "../../etc/passwd"}),
    ("dev.txt", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}),
    ("fifo.txt", {"type": tarfile.FIFOTYPE}),
]


def test_tar_members_that_leave_the_archive_are_refused(tmp_path: Path) -> None:
    members = [(name, b"", change) for name, change in ESCAPES]
    path = tmp_path / "a.tar"
    _tar(path, [*members, ("deep/" * 60 + "fine.txt", b"fine", None), ("n.zip", b"PK", None)])
    before = sorted(p.name for p in tmp_path.rglob("*"))
    items = read(path)
    assert list(texts(items).values()) == ["fine"]
    assert len(bad(items)) == len(ESCAPES) + 1
    assert all(
        "leads out" in reason or "never followed" in reason or "not opened" in reason
        for reason in bad(items).values()
    )
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


def test_zip_members_that_leave_the_archive_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("../evil.txt", "/abs.txt", "ok.txt"):
            archive.writestr(name, "text")
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("inner.zip", b"PK")
    items = read(path)
    assert list(texts(items)) == ["a.zip/ok.txt"]
    assert len(bad(items)) == 4


@pytest.mark.parametrize(
    ("name", "kind", "inner"),
    [
        ("a.txt", "plain", "a.txt"),
        ("a.TXT.GZ", "gzip", "a.TXT"),
        ("a.csv.zst", "zstd", "a.csv"),
        ("a.tar.gz", "tar", "a.tar.gz"),
        ("a.tgz", "tar", "a.tgz"),
        ("a.zip", "zip", "a.zip"),
    ],
)
def test_packing_is_known_by_name(name: str, kind: str, inner: str) -> None:
    assert container(name) == kind
    assert content_name(name) == inner


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(["zip", "tar", "tar.gz", "tar.zst"]), st.integers(0, 2**32))
def test_damaged_archives_are_bad_input_and_nothing_worse(
    tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int
) -> None:
    path = _pack(tmp_path_factory.mktemp("fuzz") / f"a.{kind}", kind)
    data = bytearray(path.read_bytes())
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(data[: rng.randint(1, len(data))] if rng.random() < 0.3 else data)
    items = read(path)
    assert all(isinstance(item, Record | BadInput | LeftOut | Opened) for item in items)


def test_methods_of_a_zip_that_are_unpacked_at_one_go_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "text")
        archive.writestr("b.txt", "A" * 9999, zipfile.ZIP_BZIP2)
        archive.writestr("c.txt", "A" * 9999, zipfile.ZIP_LZMA)
    items = read(path)
    assert list(texts(items)) == ["a.zip/a.txt"]
    assert list(bad(items)) == ["a.zip/b.txt", "a.zip/c.txt"]


def test_a_member_without_a_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "text")
        archive.writestr("X", "other")
    named = path.read_bytes()
    head, tail = named.index(b"PK\x03\x04", 1), named.rindex(b"PK\x01\x02")
    for place, length, name in ((head, 26, 30), (tail, 28, 46)):
        changed = bytearray(path.read_bytes())
        changed[place + length : place + length + 2] = b"\0\0"  # the name becomes an extra field
        changed[place + length + 2 : place + length + 4] = b"\1\0"
        assert changed[place + name : place + name + 1] == b"X"
        path.write_bytes(changed)
    items = read(path)
    assert list(texts(items).values()) == ["text"]
    assert list(bad(items).values()) == ["it has no name"]


def test_what_no_reader_thought_of_costs_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprised(stream: Any, reading: Any) -> Any:
        raise KeyError("surprise")

    monkeypatch.setattr("lmcore.data.sources.formats.objects.read_jsonl", surprised)
    path = _pack(tmp_path / "a.zip", "zip")
    items = read(path)
    assert bad(items) == {"a.zip/c.jsonl": "cannot be read: KeyError: 'surprise'"}
    assert len(texts(items)) == 2


def _bomb(path: Path, kind: str, size: int) -> None:
    chunk = (b"A" * 1023 + b"\n") * (1 << 10)
    if kind == "gz":
        with gzip.open(path, "wb", compresslevel=9) as stream:
            for _ in range(size // len(chunk)):
                stream.write(chunk)
    elif kind == "zst":
        with path.open("wb") as raw, zstandard.ZstdCompressor().stream_writer(raw) as stream:
            for _ in range(size // len(chunk)):
                stream.write(chunk)
    else:
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
            archive.open("a.txt", "w") as stream,
        ):
            for _ in range(size // len(chunk)):
                stream.write(chunk)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gz", "zst", "zip"])
def test_a_bomb_stops_at_the_cap_in_bounded_memory(
    tmp_path: Path, kind: str, run_ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"bomb.txt.{kind}" if kind != "zip" else tmp_path / "bomb.zip"
    _bomb(path, kind, 72 << 20)
    code = f"""
        import resource, sys
        from lmcore.data.config import DataConfig, SourceConfig
        from lmcore.data.sources.readers import read_source
        from lmcore.data.sources.located import fingerprint_sources
        (source,) = fingerprint_sources([SourceConfig(path={str(path)!r})]).sources
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        num_bytes = 0
        for item in read_source(source, data=DataConfig()):
            num_bytes += len(getattr(item, "text", ""))
            last = item
        print(num_bytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        print(last.condemns_file, last.reason)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    num_bytes, grown_kib = map(int, first.split())
    assert num_bytes <= FREE_BYTES + (2 << 20)
    assert grown_kib < 40 << 10
    assert second.startswith("True unpacks to more than 200 times")
    monkeypatch.setattr("lmcore.data.sources.bombs.FREE_BYTES", 1 << 20)
    monkeypatch.setattr("lmcore.data.sources.bombs.MAX_RATIO", 20)
    with pytest.raises(SourceError, match=r"no document is left.*decompression bomb"):
        run_ingest({"path": str(path)})
    other = tmp_path / "good.txt"
    other.write_text("".join(f"A line number {i} of honest text.\n" for i in range(200)))
    found = run_ingest({"path": str(path)}, {"path": str(other), "format": "lines"})
    assert found.summary["documents"] == 200
    assert found.summary["quarantined"] == 1
    (entry,) = found.quarantine()
    assert entry["path"] == path.name


def _packed(kind: str, data: bytes) -> bytes:
    if kind == "gz":
        return gzip.compress(data)
    with io.BytesIO() as raw:
        # In one go the length is in the frame's header; as a stream it is not.
        with zstandard.ZstdCompressor().stream_writer(raw, closefd=False) as stream:
            stream.write(data)
        return raw.getvalue()


@pytest.mark.parametrize("kind", ["gz", "zst"])
@pytest.mark.parametrize("missing", [1, 5, 200])
def test_a_packed_file_that_ends_early_is_damaged(tmp_path: Path, kind: str, missing: int) -> None:
    text = "".join(f"line {random.Random(i).random()}\n" for i in range(2_000)).encode()
    for name in (f"a.txt.{kind}", f"a.tar.{kind}"):
        inner = text
        if ".tar" in name:
            inner = _pack(tmp_path / "plain.tar", "tar").read_bytes()
        packed = _packed(kind, inner)
        (tmp_path / name).write_bytes(packed)
        assert not [item for item in read(tmp_path / name) if isinstance(item, BadInput)], name
        (tmp_path / name).write_bytes(packed[: max(1, len(packed) - missing)])
        bad = [item for item in read(tmp_path / name) if isinstance(item, BadInput)]
        assert bad, (name, missing)
        assert bad[0].reason.startswith("damaged: "), bad


@given(st.lists(st.binary(max_size=5_000), max_size=5), st.integers(0, 2**32))
def test_zstandard_frames_are_read_whole_or_not_at_all(pieces: list[bytes], seed: int) -> None:
    packer = zstandard.ZstdCompressor()
    frames = [packer.compress(piece) for piece in pieces]
    packed = b"".join(frames)
    assert _ZstdFrames(io.BytesIO(packed)).read() == b"".join(pieces)
    cut = seed % (len(packed) + 1)
    ends = {sum(map(len, frames[:i])) for i in range(len(frames) + 1)}
    stream = _ZstdFrames(io.BytesIO(packed[:cut]))
    if cut in ends:
        assert b"".join(pieces).startswith(stream.read())
    else:
        with pytest.raises(EOFError, match="in the middle of a Zstandard frame"):
            stream.read()
