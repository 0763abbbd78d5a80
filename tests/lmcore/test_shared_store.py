"""The same promises of a folder and of a real object store on loopback."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import object_stores
import pytest

from lmcore import shared_store
from lmcore.errors import UserError
from lmcore.shared_index import INDEX
from lmcore.shared_store import USED, SharedStore, SharedStoreError, check_shared_address


@dataclass(frozen=True)
class Place:
    """A store, and the folder that its objects are files of."""

    store: SharedStore
    objects: Path


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object_stores.ObjectStore]:
    with object_stores.running(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "folder":
        return Place(SharedStore(str(tmp_path / "shared")), tmp_path / "shared")
    s3 = request.getfixturevalue("s3")
    for name, value in s3.settings.items():
        monkeypatch.setenv(name, value)
    name = tmp_path.name
    return Place(SharedStore(f"s3://{object_stores.BUCKET}/{name}"), s3.bucket / name)


def made(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


FILES = {"a.txt": "alpha", "deep/b.txt": "beta", "empty": ""}


def test_a_folder_comes_back_as_it_was_published(place: Place, tmp_path: Path) -> None:
    assert not place.store.fetch("content/x/1", tmp_path / "none")
    assert place.store.holds("content/x/1") is None
    place.store.publish("content/x/1", made(tmp_path / "made", FILES))
    assert place.store.fetch("content/x/1", tmp_path / "come")
    assert content(tmp_path / "come") == FILES
    assert place.store.holds("content/x/1") == sorted(FILES)
    assert place.store.places("content/x") == ["1"]
    assert place.store.read("content/x/1", "a.txt") == b"alpha"
    assert place.store.read("content/x/1", "other") is None
    assert place.store.read("content/x/2", "a.txt") is None
    place.store.remove("content/x/1")
    assert place.store.places("content/x") == []
    assert not place.store.fetch("content/x/1", tmp_path / "gone")


def test_what_is_published_first_stays_unless_it_is_replaced(place: Place, tmp_path: Path) -> None:
    place.store.publish("p", made(tmp_path / "one", {"a": "first", "b": "same"}))
    place.store.publish("p", made(tmp_path / "two", {"a": "second", "b": "same"}))
    assert place.store.fetch("p", tmp_path / "come")
    assert content(tmp_path / "come")["a"] == "first"
    place.store.publish("p", tmp_path / "two", again=True, only=lambda name: name == "a")
    assert place.store.fetch("p", tmp_path / "new")
    assert content(tmp_path / "new") == {"a": "second"}
    # Nothing of the first is left behind.
    assert len({path.name for path in (place.objects / "p").iterdir()} - {USED}) == 2


def test_half_an_upload_is_never_visible(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tmp_path / "made", FILES)
    puts = 0

    def put(*arguments: object) -> None:
        nonlocal puts
        puts += 1
        if puts > 1:
            raise KeyboardInterrupt  # as good as a kill: nothing is done after it
        whole(*arguments)  # type: ignore[arg-type]

    whole: Callable[..., None] = place.store._put
    monkeypatch.setattr(place.store, "_put", put)
    with pytest.raises(KeyboardInterrupt):
        place.store.publish("p", folder)
    assert not place.store.fetch("p", tmp_path / "come")
    monkeypatch.setattr(place.store, "_put", whole)
    place.store.publish("p", folder)
    assert place.store.fetch("p", tmp_path / "come")


def flip(path: Path) -> bytes:
    whole = path.read_bytes()
    path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    return whole


def damaged(place: Place) -> Path:
    """A file of the published folder, by a flipped bit."""
    return next(p for p in (place.objects / "p").iterdir() if p.read_bytes() == b"alpha")


def test_a_flipped_bit_is_refused_and_fetched_again(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place.store.publish("p", made(tmp_path / "made", FILES))
    path = damaged(place)
    whole = flip(path)
    asked = place.store._get

    def get(*arguments: object) -> None:
        try:
            asked(*arguments)  # type: ignore[arg-type]
        finally:
            path.write_bytes(whole)  # it was damaged on its way alone

    monkeypatch.setattr(place.store, "_get", get)
    assert place.store.fetch("p", tmp_path / "come")
    assert content(tmp_path / "come") == FILES
    assert "was changed or damaged, and is not used; fetched again" in caplog.text


@pytest.mark.parametrize("what", ["file", "index", "lost"])
def test_what_stays_damaged_counts_as_missing_and_can_be_published_again(
    place: Place, tmp_path: Path, what: str
) -> None:
    folder = made(tmp_path / "made", FILES)
    place.store.publish("p", folder)
    if what == "lost":
        damaged(place).unlink()
    else:
        flip(place.objects / "p" / INDEX if what == "index" else damaged(place))
    assert place.store.read("p", "a.txt") is None
    assert not place.store.fetch("p", tmp_path / "come")
    assert place.store.holds("p") is None
    place.store.publish("p", folder)
    assert place.store.fetch("p", tmp_path / "come")
    assert content(tmp_path / "come") == FILES


def test_no_index_leads_out_of_the_folder(place: Place, tmp_path: Path) -> None:
    from lmcore.digests import canonical_json, digest

    files = {"../outside": [5, "0" * 64]}
    place.store._put_content(
        f"p/{INDEX}", canonical_json({"files": files, "digest": digest(files)})
    )
    assert not place.store.fetch("p", tmp_path / "come")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("https://example.org/x", "nothing can be kept at https://"),
        ("ftp://example.org/x", "expected s3://, gs://, az:// or a folder"),
        ("s3://key:secret@bucket/x", "holds no user and no password"),
        ("s3:///x", "names no bucket"),
    ],
)
def test_an_address_that_cannot_be_shared_is_one_sentence(address: str, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        check_shared_address(address)
    assert sentence in str(refused.value)
    assert str(refused.value).startswith("LMCORE_CONTENT: ")
    assert "secret@" not in str(refused.value)


def test_a_store_that_is_away_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_store, "_PAUSES_SECONDS", (0.0,))
    store = SharedStore(str(tmp_path / "shared"))
    monkeypatch.setattr(store, "_content", lambda _: (_ for _ in ()).throw(OSError("no route")))
    with pytest.raises(SharedStoreError, match=r"cannot be reached \(no route\); all that was"):
        store.fetch("p", tmp_path / "come")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_who_may_not_write_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o500)
    with pytest.raises(UserError, match="may not be used"):
        SharedStore(str(tmp_path / "shared")).publish("p", made(tmp_path / "made", FILES))
