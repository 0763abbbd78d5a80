"""Content folders: made once, verified always, whole or absent after a crash."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from lmcore.content_store import ContentStore, Handle
from lmcore.errors import IntegrityError
from lmcore.manifest import Manifest
from lmcore.mending import mendings
from lmcore.shared_store import SharedStore


class Note(Handle):
    kind: ClassVar[str] = "note"


def write_note(text: str) -> Callable[[Path], dict[str, int]]:
    def make(folder: Path) -> dict[str, int]:
        (folder / "sub").mkdir()
        (folder / "sub" / "note.txt").write_text(text)
        return {"characters": len(text)}

    return make


def test_a_folder_is_made_once_and_found_again(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    calls = []

    def make(folder: Path) -> dict[str, int]:
        calls.append(folder)
        return dict(write_note("hello")(folder))

    first = store.build(Note, {"text": "hello"}, make)
    second = store.build(Note, {"text": "hello"}, make)
    assert first == second
    assert len(calls) == 1
    assert first.summary == {"characters": 5}
    assert (first.path / "sub" / "note.txt").read_text() == "hello"
    assert store.build(Note, {"text": "other"}, write_note("other")).key != first.key


def test_a_failing_step_leaves_no_folder(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)

    def fail(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        store.build(Note, {"text": "x"}, fail)
    assert [p for p in (tmp_path / "note").iterdir() if p.is_dir()] == []
    assert store.build(Note, {"text": "x"}, write_note("x")).summary == {"characters": 1}


def test_a_killed_step_leaves_no_finished_folder_and_is_made_again(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import os, signal
        from pathlib import Path
        from lmcore.content_store import ContentStore, Handle

        class Note(Handle):
            kind = "note"

        def make(folder):
            (folder / "half.txt").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

        ContentStore(Path({str(tmp_path)!r})).build(Note, {{"text": "x"}}, make)
        """
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    store = ContentStore(tmp_path)
    assert not store.path("note", store.key("note", {"text": "x"})).exists()
    note = store.build(Note, {"text": "x"}, write_note("x"))
    assert sorted(p.name for p in note.path.rglob("*")) == ["manifest.json", "note.txt", "sub"]


@pytest.mark.parametrize("file", ["sub/note.txt", "manifest.json"])
def test_what_is_damaged_is_set_aside_made_again_and_written_down(
    tmp_path: Path, file: str
) -> None:
    store = ContentStore(tmp_path / "store")
    note = store.build(Note, {"text": "x"}, write_note("hello"))
    damaged = note.path / file
    damaged.write_bytes(damaged.read_bytes()[:-1])
    again = store.build(Note, {"text": "x"}, write_note("hello"))
    assert (again.path / "sub" / "note.txt").read_text() == "hello"
    assert Note.open(again.path) == again
    (written,) = mendings(store.root)
    assert written.what == str(note.path)
    assert file in written.problem
    (aside,) = (store.root / "damaged").iterdir()
    assert str(aside) in written.remedy


@pytest.mark.parametrize("newest", [0, 1, 2])
def test_the_newest_folder_of_those_that_are_wanted_is_found(tmp_path: Path, newest: int) -> None:
    store = ContentStore(tmp_path)
    assert store.newest("note", lambda _: True) is None
    texts = ["one", "two", "three"]
    folders = [store.build(Note, {"text": text}, write_note(text)).path for text in texts]
    for number, folder in enumerate(folders):
        at = 1000 + (number - newest - 1) % 3
        os.utime(folder, (at, at))
    # What a killed process left is no folder of anything.
    (tmp_path / "note" / ".x.partial").mkdir()
    assert store.newest("note", lambda _: True) == folders[newest]
    assert store.newest("note", lambda folder: folder == folders[0]) == folders[0]
    assert store.newest("note", lambda _: False) is None
    # A damaged one does not stand in the way of the others.
    (folders[newest] / "manifest.json").unlink()
    found = store.newest("note", lambda folder: Manifest.read(folder).kind == "note")
    assert found == folders[newest - 1]


def never(_: Path) -> None:
    pytest.fail("it was made a second time")


def test_what_one_home_made_another_fetches_and_verifies(tmp_path: Path) -> None:
    shared = SharedStore(str(tmp_path / "shared"))
    first = ContentStore(tmp_path / "a", shared=shared)
    second = ContentStore(tmp_path / "b", shared=shared)
    made = first.build(Note, {"n": 1}, write_note("abc"))
    fetched = second.build(Note, {"n": 1}, never)
    assert fetched.path == second.path("note", made.key)
    assert (fetched.key, fetched.summary) == (made.key, made.summary)
    assert (fetched.path / "sub" / "note.txt").read_text() == "abc"
    # And what is damaged at home is fetched instead of being made again.
    (fetched.path / "sub" / "note.txt").write_text("xyz")
    again = second.build(Note, {"n": 1}, never)
    assert (again.path / "sub" / "note.txt").read_text() == "abc"


def test_what_was_made_before_homes_shared_is_published_when_it_is_found(tmp_path: Path) -> None:
    shared = SharedStore(str(tmp_path / "shared"))
    ContentStore(tmp_path / "a").build(Note, {"n": 1}, write_note("abc"))
    quiet = ContentStore(tmp_path / "a", shared=shared, publishes=False)
    handle = quiet.build(Note, {"n": 1}, never)
    assert shared.places("content/note") == []
    quiet.publish(handle)
    ContentStore(tmp_path / "b", shared=shared).build(Note, {"n": 1}, never)


def test_another_folder_in_its_place_is_not_used(tmp_path: Path) -> None:
    shared = SharedStore(str(tmp_path / "shared"))
    other = ContentStore(tmp_path / "a").build(Note, {"n": 2}, write_note("other"))
    store = ContentStore(tmp_path / "b", shared=shared)
    key = store.key("note", {"n": 1})
    shared.publish(f"content/note/{key[:32]}", other.path)
    with pytest.raises(IntegrityError, match="what homes share there is another folder"):
        store.build(Note, {"n": 1}, never)
    assert not store.path("note", key).exists()
