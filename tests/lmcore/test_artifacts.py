"""Content folders: made once, verified always, whole or absent after a crash."""

import json
import math
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from json_values import json_values

from lmcore.artifacts import (
    ContentStore,
    Handle,
    Manifest,
    canonical_json,
    code_digest,
    digest,
    open_verified,
)
from lmcore.errors import IntegrityError
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
        from lmcore.artifacts import ContentStore, Handle

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


def damage_flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


def damage_truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def damage_replace_by_link(path: Path) -> None:
    copy = path.parent.parent.parent / "copy.txt"
    path.rename(copy)
    path.symlink_to(copy)


def damage_add(path: Path) -> None:
    (path.parent / "extra.pkl").write_bytes(b"x")


@pytest.mark.parametrize(
    "damage",
    [damage_flip, damage_truncate, Path.unlink, damage_replace_by_link, damage_add],
)
def test_any_damage_is_named_and_nothing_is_loaded(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    store = ContentStore(tmp_path / "store")
    note = store.build(Note, {"text": "x"}, write_note("hello"))
    damage(note.path / "sub" / "note.txt")
    with pytest.raises(IntegrityError, match=r"note\.txt|extra\.pkl"):
        Note.open(note.path)


@pytest.mark.parametrize("file", ["sub/note.txt", "manifest.json"])
def test_what_is_damaged_is_set_aside_made_again_and_written_down(
    tmp_path: Path, file: str
) -> None:
    store = ContentStore(tmp_path / "store")
    note = store.build(Note, {"text": "x"}, write_note("hello"))
    damage_truncate(note.path / file)
    again = store.build(Note, {"text": "x"}, write_note("hello"))
    assert (again.path / "sub" / "note.txt").read_text() == "hello"
    assert Note.open(again.path) == again
    (written,) = mendings(store.root)
    assert written.what == str(note.path)
    assert file in written.problem
    (aside,) = (store.root / "damaged").iterdir()
    assert str(aside) in written.remedy


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"kind": "note"}', "\x00"])
def test_a_broken_manifest_is_an_integrity_error(tmp_path: Path, content: str) -> None:
    note = ContentStore(tmp_path).build(Note, {"text": "x"}, write_note("x"))
    (note.path / "manifest.json").write_text(content)
    with pytest.raises(IntegrityError, match="manifest"):
        Note.open(note.path)


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    note = ContentStore(tmp_path).build(Note, {"text": "x"}, write_note("x"))
    with pytest.raises(IntegrityError, match="'note' where 'letter'"):
        open_verified(note.path, kind="letter")


@given(json_values(max_leaves=8))
def test_canonical_json_has_one_spelling(value: object) -> None:
    again = json.loads(canonical_json(value))
    assert canonical_json(again) == canonical_json(value)
    assert digest(again) == digest(value)


def test_canonical_json_ignores_the_order_of_keys_and_refuses_nan() -> None:
    assert canonical_json({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": math.nan})


def test_the_code_digest_follows_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "probe_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = code_digest("probe_package")
    assert code_digest("probe_package") == before
    (package / "part.py").write_text("x = 2\n")
    assert code_digest("probe_package") != before


def test_a_manifest_lists_size_and_hash_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abc")
    manifest = Manifest.write(tmp_path, kind="note", inputs={})
    # SHA-256 of "abc": FIPS 180-2, appendix B.1.
    assert manifest.files == {
        "a.txt": (3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }
    assert Manifest.read(tmp_path) == manifest


@pytest.mark.parametrize("damage", ["changed", "removed", "added"])
def test_a_file_of_that_name_in_a_folder_below_is_content(tmp_path: Path, damage: str) -> None:
    inner = tmp_path / "sub" / "manifest.json"
    inner.parent.mkdir()
    inner.write_text("{}")
    if damage == "added":
        inner = tmp_path / "other" / "manifest.json"
    Manifest.write(tmp_path, kind="note", inputs={})
    assert set(open_verified(tmp_path).files) == {"sub/manifest.json"}
    if damage == "removed":
        inner.unlink()
    else:
        inner.parent.mkdir(exist_ok=True)
        inner.write_text("[]")
    with pytest.raises(IntegrityError, match=str(inner)):
        open_verified(tmp_path)


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
