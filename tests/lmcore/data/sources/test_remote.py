"""Sources in an object store and on a web server: real ones, on loopback."""

import gzip
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import object_stores
import pytest

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.sources import remote
from lmcore.data.sources.located import fingerprint_sources, glance_at_sources
from lmcore.data.sources.readers import read_source
from lmcore.data.sources.records import Record
from lmcore.errors import SourceError

pytest.importorskip("s3fs")

TEXTS = {
    "texts/a.txt": b"The first of several texts.",
    "texts/b/c.txt": b"One that lies deeper.",
    "texts/README.md": b"About the data.",
    "rows.jsonl.gz": gzip.compress(b'{"text": "in a row"}\n{"text": "in another"}\n'),
    "en.txt": b"one\ntwo\n",
    "de.txt": b"eins\nzwei\n",
}


@dataclass
class Store:
    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def bucket(self) -> Path:
        return self.folder / "corpus"


def fill(folder: Path) -> None:
    for name, content in TEXTS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with zipfile.ZipFile(folder / "pack.zip", "w") as packed:
        packed.writestr("inside.txt", "From inside of an archive.")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    folder = tmp_path / "store"
    fill(folder / "corpus")
    with object_stores.served(folder, remembered="0s") as served:
        for name, value in served.settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        yield Store(folder, served.process)


def texts_of(**source: Any) -> list[tuple[str, str, str | None]]:
    (located,) = fingerprint_sources([SourceConfig(**source)]).sources
    items = read_source(located, data=DataConfig())
    return [(i.file, i.text, i.target) for i in items if isinstance(i, Record)]


def digest_of(**source: Any) -> str:
    return fingerprint_sources([SourceConfig(**source)]).digest


@pytest.mark.parametrize("what", [{}, {"files": "a*"}, {"files": "b/*.txt"}])
def test_a_folder_of_a_store_is_read_as_one_of_this_machine(store: Store, what: Any) -> None:
    there = texts_of(path="s3://corpus/texts", **what)
    assert there == texts_of(path=str(store.bucket / "texts"), **what)
    assert there
    assert not list(store.folder.parent.glob("remote-*"))


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "pack.zip", "texts/*.txt", "**/c.txt"])
def test_a_file_an_archive_and_a_pattern_are_read_likewise(store: Store, name: str) -> None:
    there = texts_of(path=f"s3://corpus/{name}")
    here = texts_of(path=str(store.bucket / name))
    assert [text for _, text, _ in there] == [text for _, text, _ in here] != []


def test_a_file_and_its_translation(store: Store) -> None:
    pairs = texts_of(path="s3://corpus/en.txt", target_path="s3://corpus/de.txt", format="parallel")
    assert [(text, target) for _, text, target in pairs] == [("one", "eins"), ("two", "zwei")]
    with pytest.raises(SourceError, match="target_path: expected an address"):
        texts_of(path="s3://corpus/en.txt", target_path="/de.txt", format="parallel")


def test_what_the_store_says_of_versions_tells_whether_anything_is_new(store: Store) -> None:
    source = {"path": "s3://corpus/texts"}
    before = digest_of(**source), glance_at_sources([SourceConfig(**source)])
    assert (digest_of(**source), glance_at_sources([SourceConfig(**source)])) == before
    (store.bucket / "texts" / "a.txt").write_bytes(b"The first of several TEXTS.")
    after = digest_of(**source), glance_at_sources([SourceConfig(**source)])
    assert after[0] != before[0]
    assert after[1] != before[1]


def test_a_file_that_changed_since_it_was_listed_is_not_read(store: Store) -> None:
    (located,) = fingerprint_sources([SourceConfig(path="s3://corpus/en.txt")]).sources
    (store.bucket / "en.txt").write_bytes(b"three\nfour\n")
    with pytest.raises(SourceError, match=r"en\.txt changed after it was listed; run again"):
        list(read_source(located, data=DataConfig()))


def test_who_may_not_read_is_told_so_without_the_secret(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "0123456789abcdef")
    with pytest.raises(SourceError, match="s3://corpus/texts") as told:
        digest_of(path="s3://corpus/texts")
    assert "0123456789abcdef" not in str(told.value)


def test_nothing_there_and_nobody_there_are_one_sentence_each(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # what the library tries by itself
    for place in ("s3://corpus/nowhere", "s3://no-such-bucket/texts", "s3://corpus/x*.txt"):
        with pytest.raises(
            SourceError, match=r"sources\[0\].path: no.* is at .*; change the address"
        ):
            digest_of(path=place)
    monkeypatch.setattr(remote, "_PAUSES_SECONDS", (0.0, 0.0))
    store.process.kill()
    store.process.wait()
    with pytest.raises(SourceError, match=r"cannot be read .*; see that it can be reached"):
        digest_of(path="s3://corpus/texts")


class Files(SimpleHTTPRequestHandler):
    """A server of files that is away the first times."""

    away = 0
    told_of_versions = True

    def send_header(self, keyword: str, value: str) -> None:
        if keyword != "Last-Modified" or self.told_of_versions:
            super().send_header(keyword, value)

    def send_head(self) -> Any:
        if type(self).away:
            type(self).away -= 1
            self.send_error(503)
            return None
        return super().send_head()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    fill(tmp_path / "files")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(remote, "_PAUSES_SECONDS", (0.0, 0.0, 0.0))
    handler = partial(Files, directory=str(tmp_path / "files"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
    Files.away = 0


def test_a_file_of_a_web_server_is_read_though_it_is_away_for_a_moment(web: str) -> None:
    Files.away = 2
    found = texts_of(path=f"{web}/rows.jsonl.gz")
    assert [text for _, text, _ in found] == ["in a row", "in another"]


def test_a_file_of_which_nothing_is_said_is_known_by_its_bytes(
    web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Files, "told_of_versions", False)
    source, text = SourceConfig(path=f"{web}/texts/a.txt"), tmp_path / "files" / "texts" / "a.txt"
    (located,) = fingerprint_sources([source]).sources
    assert digest_of(path=source.path) == fingerprint_sources([source]).digest
    assert [i.text for i in read_source(located, data=DataConfig()) if isinstance(i, Record)]
    text.write_bytes(text.read_bytes().upper())
    assert digest_of(path=source.path) != located.digest
    with pytest.raises(SourceError, match="changed after it was listed"):
        list(read_source(located, data=DataConfig()))


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("ftp://host/file", "ftp:// is not read; expected one of s3://"),
        ("https://user:word@host/file", "holds no user and no password"),
        ("https://host/file?X-Amz-Signature=1", "an address with a query may hold a secret"),
        ("http://example.org/file", "http can be changed on its way; expected https"),
        ("s3:///file", "names no bucket or host"),
        ("s3://bucket/\x1b[2J", "is no address"),
        ("https://[broken/file", "is no address"),
    ],
)
def test_an_address_that_cannot_be_or_holds_a_secret_is_refused(address: str, told: str) -> None:
    with pytest.raises(SourceError) as refused:
        digest_of(path=address)
    assert told in str(refused.value)
    assert "word" not in str(refused.value).replace("password", "")


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adlfs", None)
    with pytest.raises(SourceError, match=r"adlfs reads az://.* pip install 'lmcore\[remote\]'"):
        digest_of(path="az://container/texts")


def test_this_machines_disk_is_not_the_stores_fault(web: str, tmp_path: Path) -> None:
    # What measures the test's own lines cannot write then either, so the answer is printed.
    script = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))
from lmcore.data.sources.remote import list_remote
(_, file), = list_remote(sys.argv[1], key="sources[0].path")
try:
    file.at_hand().__enter__()
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, f"{web}/texts/a.txt"],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=False,
    )
    assert done.stdout.startswith("StorageError "), done.stderr
    assert f"{tmp_path}/remote-" in done.stdout
