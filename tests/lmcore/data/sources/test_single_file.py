"""Documents outside any data set: the texts, and so the ids, that ingest would make of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmcore.data.config import DataConfig
from lmcore.data.documents import DocumentSet
from lmcore.data.sources.single_file import read_documents
from lmcore.data.text.cleaning import document_id
from lmcore.errors import SourceError

Put = Callable[[str, str | bytes], Path]


def test_a_document_by_hand(put: Put) -> None:
    (document,) = read_documents(put("a.txt", "Write to ann@example.org, caf\u0065\u0301."))
    assert document.text == "Write to <EMAIL>, café."
    assert document.id == document.cluster == document_id(document.text)
    assert document.num_bytes == len("Write to <EMAIL>, café.".encode())
    assert (document.name, document.split, document.license) == ("a.txt:1", "validation", "unknown")
    (kept,) = read_documents(put("a.txt", "ann@example.org"), data=DataConfig(pii="keep"))
    assert kept.text == "ann@example.org"


def test_texts_have_the_ids_that_they_have_in_a_data_set(
    put: Put, run_ingest: Callable[..., DocumentSet]
) -> None:
    rows = [{"text": f"Text number {i} of ann@example.org says {i * 7919}."} for i in range(20)]
    rows += [{"text": " \t "}, {"text": "nul \0 inside"}, {"text": "caf\u0065\u0301"}]
    path = put("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    found = {(d.id, d.text) for d in run_ingest({"path": str(path)}).iter_documents()}
    documents = read_documents(path)
    assert {(d.id, d.text) for d in documents} == found
    assert [d.name for d in documents][-2:] == ["a.jsonl:22", "a.jsonl:23"]


def test_copies_stay_and_what_is_unusable_is_left_out(put: Put, tmp_path: Path) -> None:
    put("a.jsonl", '{"text": "twice"}\nno json\n{"text": "\\ud800"}\n{"text": "twice"}\n')
    put("b.txt", b"\xff\xfe")
    documents = read_documents(tmp_path)
    assert [(d.text, d.name) for d in documents] == [
        ("twice", "a.jsonl:1"),
        ("twice", "a.jsonl:4"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.txt", "", "empty file"),
        ("a.txt", " \n \n", "it is empty"),
        ("a.txt", b"\x00\x01", "a binary file, not text"),
        ("a.jsonl", "nope\n", "not JSON"),
        ("a.jsonl", '{"text": "\\ud800"}\n', "surrogate"),
    ],
)
def test_nothing_usable_is_one_sentence_with_the_reason(
    put: Put, name: str, content: Any, problem: str
) -> None:
    path = put(name, content)
    with pytest.raises(SourceError, match="holds no usable text") as caught:
        read_documents(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert problem in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.txt"):
        read_documents(tmp_path / "none.txt")
