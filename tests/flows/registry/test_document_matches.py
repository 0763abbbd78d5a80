"""A version of four documents: a letter, a copy with another end, a stranger, and a short note."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from flows.registry.document_matches import Query, find_documents, find_row, removed_documents
from lmcore.data.copies.removal import Removal, Removals
from lmcore.data.copies.sketches import distinct_shingles, sketch_text
from lmcore.version_assembly import VersionParts, assemble_version
from lmcore.version_folder import VersionFolder


def words(name: str, start: int, end: int) -> str:
    return " ".join(f"{name}{number}" for number in range(start, end))


TEXTS = {
    "letter": words("a", 0, 400),
    "copy": f"{words('a', 0, 360)} {words('b', 0, 40)}",
    "stranger": words("c", 0, 400),
    "note": words("d", 0, 30),
}
IDS = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in TEXTS.items()}


def row(name: str) -> dict[str, Any]:
    common = {"source": 0, "license": "CC0-1.0", "origin": "a test", "split": "train"}
    size = len(TEXTS[name].encode())
    return {
        **common,
        "id": IDS[name],
        "name": f"{name}.txt",
        "num_bytes": size,
        "cluster": IDS[name],
        "date": None,
        "anchor": False,
    }


@pytest.fixture(scope="module")
def assemble(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path
) -> Callable[..., VersionFolder]:
    def make(*, sketched: Sequence[str]) -> VersionFolder:
        return assemble_version(
            tmp_path_factory.mktemp("matches") / "version",
            VersionParts(
                best=tiny_model / "best",
                tokenizer=tiny_model / "tokenizer",
                evaluation=tiny_model / "evaluation",
                documents=[row(name) for name in TEXTS],
                sources=[],
                config="name: letters\n",
                report="<!doctype html>",
                card="# letters",
                lineage={},
                sketches=[(IDS[name], sketch_text(TEXTS[name]).to_bytes()) for name in sketched],
            ),
        )

    return make


@pytest.fixture(scope="module")
def folder(assemble: Callable[..., VersionFolder]) -> VersionFolder:
    return assemble(sketched=list(TEXTS))


@pytest.fixture(scope="module")
def old_folder(assemble: Callable[..., VersionFolder]) -> VersionFolder:
    """Made before sketches were kept."""
    return assemble(sketched=[])


def by_text(text: str) -> Query:
    identity = hashlib.sha256(text.encode()).hexdigest()
    return Query(id=identity, name="file", shingles=distinct_shingles(text), text=text)


def by_sketch(text: str) -> Query:
    return Query(id="0" * 64, name="sketch", sketch=sketch_text(text))


def found(folder: VersionFolder, *queries: Query) -> list[tuple[str, bool]]:
    return [(match.row["name"], match.exact) for match in find_documents(folder, queries)]


def test_the_document_comes_before_its_near_copy(folder: VersionFolder) -> None:
    matches = find_documents(folder, [by_text(TEXTS["letter"])])
    assert [match.row["name"] for match in matches] == ["letter.txt", "copy.txt"]
    exact, near = (match.to_json() for match in matches)
    assert (exact["kind"], exact["share"]) == ("exact", 1.0)
    assert near["kind"] == "near-copy"
    # 356 of 396 sequences of five words are the same; sketches are samples of them.
    assert near["share"] == pytest.approx(356 / 396, abs=0.15)
    assert set(exact) == {
        *("id", "name", "split", "source", "license", "num_bytes"),
        *("kind", "share"),
    }


def test_an_edited_text_is_found_and_an_unknown_one_is_not(folder: VersionFolder) -> None:
    edited = f"{words('e', 0, 50)} {words('c', 60, 400)}"
    assert found(folder, by_text(edited)) == [("stranger.txt", False)]
    assert found(folder, by_sketch(edited)) == [("stranger.txt", False)]
    assert found(folder, by_text(words("z", 0, 400))) == []
    assert found(folder) == []


FORMS: dict[str, Callable[[str], str]] = {
    "soft hyphens": lambda text: text.replace("0", "\u00ad0"),
    "zero width": lambda text: "\u200b".join(text),
    "full width": lambda text: "".join(c if c == " " else chr(ord(c) + 0xFEE0) for c in text),
    "capitals": str.upper,
    "other blanks": lambda text: text.replace(" ", "\u00a0\n"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["letter", "stranger", "note"])
def test_a_text_in_another_form_is_found_as_a_whole(
    folder: VersionFolder, name: str, form: str
) -> None:
    copy = FORMS[form](TEXTS[name])
    (match, *_) = find_documents(folder, [by_text(copy)])
    assert (match.row["name"], match.exact, match.share) == (f"{name}.txt", False, 1.0)
    assert IDS[name] in removed_documents(folder, Removals.of([removal(copy)]))


def test_several_questions_have_each_document_once(folder: VersionFolder) -> None:
    queries = [by_text(TEXTS["letter"]), by_text(TEXTS["copy"]), by_text(TEXTS["note"])]
    assert sorted(found(folder, *queries)) == [
        *(("copy.txt", True), ("letter.txt", True), ("note.txt", True)),
    ]


def test_an_old_version_answers_by_id_alone(old_folder: VersionFolder) -> None:
    assert found(old_folder, by_text(TEXTS["letter"])) == [("letter.txt", True)]
    assert found(old_folder, by_sketch(TEXTS["letter"])) == []


def test_a_row_is_found_by_a_beginning_that_it_alone_has(
    folder: VersionFolder, old_folder: VersionFolder
) -> None:
    whole = IDS["note"]
    answer = find_row(folder, whole[:12])
    assert answer is not None
    assert answer[0]["name"] == "note.txt"
    assert answer[1] is not None
    assert answer[1].to_bytes() == sketch_text(TEXTS["note"]).to_bytes()
    assert find_row(folder, "") is None  # all of them begin so
    assert find_row(folder, "0" * 64) is None
    assert find_row(old_folder, whole) == (answer[0], None)


def removal(name: str, *, sketched: bool = True) -> Removal:
    text = TEXTS.get(name, name)
    return Removal(
        document=IDS.get(name, "0" * 64),
        sketch=sketch_text(text) if sketched else None,
        reason="asked",
        who="ada",
        at="2026-03-01T00:00:00+00:00",
    )


@pytest.mark.parametrize(
    ("removals", "expected"),
    [
        ([], set()),
        ([removal("letter")], {"letter", "copy"}),
        ([removal("letter", sketched=False)], {"letter"}),
        ([removal("note"), removal("stranger")], {"note", "stranger"}),
        ([removal(words("z", 0, 400))], set()),
    ],
)
def test_what_must_be_forgotten_are_documents_and_their_near_copies(
    folder: VersionFolder, removals: list[Removal], expected: set[str]
) -> None:
    gone = removed_documents(folder, Removals.of(removals))
    assert gone == {IDS[name] for name in expected}


def test_an_old_version_forgets_by_id(old_folder: VersionFolder) -> None:
    assert removed_documents(old_folder, Removals.of([removal("letter")])) == {IDS["letter"]}
