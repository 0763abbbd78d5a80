import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lmcore.data.ingest.shared_sides import learn_sides, new_sides
from lmcore.data.ingest.split import TASK, attached_ledger
from lmcore.errors import IntegrityError

Row = tuple[bytes, bytes]


def key(name: str) -> bytes:
    return name.encode().ljust(32, b".")


def split(ledger: Path, documents: dict[str, str], appointed: dict[str, str] | None = None) -> None:
    with closing(sqlite3.connect(":memory:")) as work, attached_ledger(work, ledger):
        work.executemany(
            "INSERT INTO ledger.document (id, anchors) VALUES (?, ?)",
            [(key(name), key(anchor)) for name, anchor in documents.items()],
        )
        work.executemany(
            "INSERT INTO ledger.appointment VALUES (?, ?)",
            [(key(name), side) for name, side in (appointed or {}).items()],
        )


def sides(ledger: Path) -> dict[str, str]:
    with closing(sqlite3.connect(ledger)) as file:
        rows = [
            *file.execute("SELECT id, anchors FROM document"),
            *(
                (anchor, side.encode())
                for anchor, side in file.execute("SELECT * FROM appointment")
            ),
        ]
    return {name.decode().strip("."): value.decode().strip(".") for name, value in rows}


def test_what_one_home_split_another_keeps(tmp_path: Path) -> None:
    first, second = tmp_path / "a.sqlite", tmp_path / "b.sqlite"
    split(first, {"one": "one", "copy": "one"}, {"cluster": "tune"})
    assert new_sides(first, [], tmp_path / "1") == 3
    learn_sides(second, [tmp_path / "1"])
    assert sides(second) == sides(first)
    split(second, {"two": "one"})
    assert new_sides(second, [tmp_path / "1"], tmp_path / "2") == 1
    both = [tmp_path / "1", tmp_path / "2"]
    learn_sides(first, both)
    assert sides(first) == sides(second)
    assert new_sides(first, both, tmp_path / "3") == 0
    assert not (tmp_path / "3").exists()


def test_where_two_knew_nothing_of_each_other_the_first_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "a.sqlite", tmp_path / "b.sqlite"
    split(first, {"one": "here"}, {"here": "train"})
    split(second, {"one": "there"}, {"here": "validation"})
    new_sides(first, [], tmp_path / "1")
    new_sides(second, [], tmp_path / "2")
    for ledger in (first, second):
        learn_sides(ledger, [tmp_path / "1", tmp_path / "2"])
        assert sides(ledger) == {"one": "here", "here": "train"}


def owners(ledger: Path) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(ledger)) as file:
        rows = file.execute("SELECT kind, model, id FROM owner ORDER BY 1, 2, 3").fetchall()
    return [(kind, model, id_.decode().strip(".")) for kind, model, id_ in rows]


def test_it_is_shared_for_whom_a_document_was_split(tmp_path: Path) -> None:
    first, second = tmp_path / "a.sqlite", tmp_path / "b.sqlite"
    split(first, {"one": "one"})
    split(second, {"two": "two"})
    for ledger, document in ((first, "one"), (second, "two")):
        with closing(sqlite3.connect(ledger)) as file, file:
            file.execute("INSERT INTO owner VALUES (?, ?, ?)", (TASK, "mood", key(document)))
    new_sides(first, [], tmp_path / "1")
    with closing(sqlite3.connect(tmp_path / "1")) as file, file:  # as releases of before wrote it
        file.execute("DROP TABLE owner")
    learn_sides(second, [tmp_path / "1"])
    assert owners(second) == [("", "", "one"), (TASK, "mood", "two")]
    assert new_sides(second, [tmp_path / "1"], tmp_path / "2") == 2
    both = [tmp_path / "1", tmp_path / "2"]
    learn_sides(first, both)
    assert owners(first) == [("", "", "one"), (TASK, "mood", "one"), (TASK, "mood", "two")]
    # It is news, too, that another model has the same document.
    assert new_sides(first, both, tmp_path / "3") == 1


def test_nothing_shared_makes_no_ledger(tmp_path: Path) -> None:
    learn_sides(tmp_path / "a.sqlite", [])
    assert not (tmp_path / "a.sqlite").exists()


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "1").write_text("no database at all, but long enough to be looked at")
    with pytest.raises(IntegrityError, match="no sides that homes share"):
        learn_sides(tmp_path / "a.sqlite", [tmp_path / "1"])
