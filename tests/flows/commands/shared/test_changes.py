"""What differs between a version's text and today's is said in sentences, each kind bounded."""

from types import SimpleNamespace
from typing import Any

from flows.commands.shared.changes import document_changes, file_changes, first_few, short


def row(name: str, split: str = "train") -> dict[str, Any]:
    return {"id": name * 64, "name": name, "split": split}


def test_files_are_missing_new_or_changed() -> None:
    recorded = [{"files": [{"name": n, "sha256": n} for n in ("same", "other", "gone")]}, {}]
    files = [SimpleNamespace(name=n, sha256=s) for n, s in (("same", "same"), ("other", "x"))]
    new = SimpleNamespace(name="new", sha256="new")
    sources = [SimpleNamespace(files=files, targets=()), SimpleNamespace(files=(), targets=(new,))]
    assert file_changes(recorded, SimpleNamespace(sources=sources)) == [  # type: ignore[arg-type]
        "file gone of source 0 is missing",
        "file new of source 1 is new",
        "file other of source 0 has changed",
    ]


def test_documents_are_gone_new_or_on_another_side() -> None:
    rows = [row("a"), row("b"), row("c"), row("d", "validation")]
    now = [row("b", "validation"), row("d", "validation"), row("e", "validation")]
    found = document_changes(rows, now, forgotten={"c" * 64})
    assert found.sentences == [
        "document a (aaaaaaaaaaaa) is missing or has changed",
        "document e (eeeeeeeeeeee) is new",
        "document b (bbbbbbbbbbbb) is validation now and was train",
    ]
    assert not found.same_training_text


def test_only_what_is_trained_on_must_be_the_same_and_in_the_same_order() -> None:
    rows = [row("a"), row("b", "tune"), row("c", "validation")]
    assert document_changes(rows, rows, forgotten=()).same_training_text
    more = document_changes(rows, [*rows, row("d", "validation")], forgotten=())
    assert (more.same_training_text, len(more.sentences)) == (True, 1)
    turned = document_changes(rows, rows[::-1], forgotten=())
    assert not turned.same_training_text
    assert turned.sentences == ["documents: the same ones come in another order"]


def test_many_of_one_kind_are_counted() -> None:
    many = [f"document {i} is new" for i in range(25)]
    assert first_few(many[:20]) == many[:20]
    assert first_few(many) == [*many[:20], "... and 5 more of this kind (document)"]
    assert (short(None), short("name"), short("f" * 64)) == ("unknown", "name", "f" * 12)
