"""A name and a few bytes say how a file is read, or why it is not."""

import io
import json

import pytest

from lmcore.data.config import SourceConfig
from lmcore.data.sources.recognition import Recognised, recognise


def told(name: str, data: bytes, *, seekable: bool = True, **config: object) -> Recognised:
    stream = io.BufferedReader(io.BytesIO(data))
    source = SourceConfig.model_validate({"path": "-", **config})
    return recognise(stream, name=name, config=source, seekable=seekable)


SLACK = json.dumps([{"type": "message", "ts": "1700000000.000100", "text": "x"}]).encode()
CHAT = b"31/12/2023, 23:59 - Ann: Hi\n31/12/2023, 23:59 - Bo: Ho\n"


@pytest.mark.parametrize(
    ("name", "data", "format_", "encoding"),
    [
        ("a.csv", b"text\n", "csv", "utf-8"),
        ("a", b"text\n", "text", "utf-8"),
        ("a.txt", "text".encode("utf-16"), "text", "utf-16-le"),
        ("a.pdf", b"%PDF-", "pdf", ""),
        ("a.txt", CHAT, "chat", "utf-8"),
        ("a.json", SLACK, "chat", "utf-8"),
        ("a.csv.gz", b"text\n", "csv", "utf-8"),
    ],
)
def test_a_file_is_known(name: str, data: bytes, format_: str, encoding: str) -> None:
    found = told(name, data)
    assert (found.format, found.encoding, found.problem) == (format_, encoding, "")
    assert found.head == data
    if encoding:
        assert found.stream.read() == data.decode(encoding).removeprefix("\ufeff").encode()


def test_what_the_configuration_says_is_not_doubted() -> None:
    assert told("a.txt", CHAT, format="text").format == "text"
    found = told("a.csv", "ä".encode("cp1252"), format="text", encoding="cp1252")
    assert (found.format, found.encoding, found.stream.read()) == ("text", "cp1252", "ä".encode())
    assert told("a.doc", b"plain", format="text").problem == ""


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("a.txt", b"", "empty file"),
        ("a.pdf", b"", "empty file"),
        ("a.txt", b"a\0", "a binary file, not text"),
        ("a.csv", bytes(200), "a binary file, not text"),
        ("a.txt", "Plain text".encode("utf-16-be"), "set encoding: utf-16-be"),
        ("a.txt", b"PK\x03\x04", "a zip archive or an office file by its first bytes"),
        ("a.msg", b"x", "save it as .eml"),
    ],
)
def test_a_file_that_is_not_read_says_why(name: str, data: bytes, problem: str) -> None:
    assert problem in told(name, data).problem


def test_what_has_to_be_sought_in_is_not_read_from_a_stream() -> None:
    assert "unpack it" in told("a.parquet", b"PAR1", seekable=False).problem
    assert told("a.parquet", b"PAR1").problem == ""
