"""Asked of the champion that the steps made of 80 lines, each of them a document."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.commands.shared.document_search import DocumentSearch, described
from flows.registry.document_matches import Query
from flows.registry.models import Registry
from flows.registry.removals import record_removals
from lmcore.data.copies.removal import Removal
from lmcore.data.copies.sketches import sketch_text
from lmcore.errors import NotFoundError, SourceError, UserError


@pytest.fixture
def search(trained_shell: Any) -> DocumentSearch:
    return DocumentSearch(Registry(trained_shell.home), ["lines"])


@pytest.fixture
def learnt(made: Any) -> Any:
    return next(made.documents.iter_documents("train"))


def uncache(search: DocumentSearch) -> None:
    """Versions are left; what the steps kept of the text is not."""
    shutil.rmtree(search.registry.home.content / "documents")


def test_each_document_of_a_file_is_asked_about(
    search: DocumentSearch, made: Any, tmp_path: Path
) -> None:
    first, second = [*made.documents.iter_documents()][:2]
    (tmp_path / "two.jsonl").write_text(
        "".join(f'{{"text": "{document.text}"}}\n' for document in (first, second))
    )
    queries = search.queries("two.jsonl")
    assert [(q.id, q.name, q.text) for q in queries] == [
        (first.id, "two.jsonl:1", first.text),
        (second.id, "two.jsonl:2", second.text),
    ]
    assert all(query.shingles is not None for query in queries)
    (version,) = search.versions(queries)
    exact = {row["id"] for row in version["documents"] if row["kind"] == "exact"}
    assert exact == {first.id, second.id}


def test_a_version_says_how_it_met_a_document(search: DocumentSearch, learnt: Any) -> None:
    (version,) = search.versions(search.queries(learnt.id))
    (row,) = version.pop("documents")
    assert version == {
        "model": "lines",
        "version": 1,
        "outcome": "promoted",
        "aliases": ["champion"],
        "trained": True,
    }
    assert (row["id"], row["kind"], row["split"]) == (learnt.id, "exact", "train")


def test_an_id_is_known_to_the_cache_to_a_version_or_to_a_removal(
    search: DocumentSearch, learnt: Any
) -> None:
    (cached,) = search.queries(learnt.id[:10].upper())
    assert (cached.id, cached.text) == (learnt.id, learnt.text)
    uncache(search)
    (recorded,) = search.queries(learnt.id[:10])
    assert (recorded.id, recorded.name, recorded.text) == (learnt.id, learnt.name, None)
    assert recorded.sketch is not None
    assert recorded.sketch.to_bytes() == sketch_text(learnt.text).to_bytes()
    sketch = sketch_text("a text that was removed before any model met it")
    removal = Removal(
        document="f" * 64, sketch=sketch, reason="r", who="ada", at="2026-03-01T00:00:00+00:00"
    )
    record_removals(search.registry, [removal])
    (removed,) = search.queries("f" * 8)
    assert (removed.id, removed.name) == ("f" * 64, "a removed document")


def test_a_whole_id_may_be_unknown_and_a_beginning_may_not(search: DocumentSearch) -> None:
    assert search.queries("0" * 64) == [Query(id="0" * 64, name="unknown")]
    with pytest.raises(NotFoundError, match=r"^0000000000: no version knows exactly one document"):
        search.queries("0" * 10)
    for target in ("0" * 7, "0" * 65, "letter.txt", "00000000g"):
        with pytest.raises(NotFoundError, match=f"{target}: there is no such file, and it is no"):
            search.queries(target)


def test_a_damaged_version_is_a_problem_and_the_others_answer(
    trained_shell: Any, register_in: Any, assemble_in: Any, tmp_path: Path, learnt: Any
) -> None:
    registry = Registry(trained_shell.home)
    damaged = register_in(registry, assemble_in(tmp_path), name="speeches")
    path = registry.open(damaged).path / "report.html"
    shutil.rmtree(registry.home.root / "kept")  # or it is put back from there
    path.write_text("other")
    search = DocumentSearch(registry, ["lines", "speeches"])
    assert [v["model"] for v in search.versions(search.queries(learnt.id))] == ["lines"]
    (problem,) = search.problems
    assert problem.startswith("version 1 of speeches could not be asked: ")
    assert "report.html" in problem


def test_without_a_version_a_file_is_read_as_it_is(empty_shell: Any, tmp_path: Path) -> None:
    search = DocumentSearch(Registry(empty_shell.home), [])
    (tmp_path / "letter.txt").write_text("Write to ada@example.org, who reads it.")
    texts = [query.text or "" for query in search.queries("letter.txt")]
    assert sorted("ada@example.org" in text for text in texts) == [False, True]
    assert search.versions(search.queries("letter.txt")) == []
    (tmp_path / "blank.txt").write_text(" ")
    with pytest.raises(SourceError, match="holds no usable text"):
        search.queries("blank.txt")


def test_too_many_documents_at_a_time_are_refused(search: DocumentSearch, tmp_path: Path) -> None:
    (tmp_path / "many.jsonl").write_text(
        "".join(f'{{"text": "Line number {n} of very many lines."}}\n' for n in range(1_001))
    )
    with pytest.raises(UserError, match=r"many\.jsonl: holds 1,\d{3} documents, more than 1,000"):
        search.queries("many.jsonl")


def test_each_document_is_described_once() -> None:
    queries = [Query(id="a", name="whole"), Query(id="b", name="b"), Query(id="a", name="masked")]
    assert described(queries) == [{"id": "a", "name": "masked"}, {"id": "b", "name": "b"}]
