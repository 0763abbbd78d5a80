"""JSON and YAML: every object is a record, in bounded memory, whatever stands around it."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.sources.formats.objects import json_rows, yaml_documents
from lmcore.data.sources.records import BadInput, Record
from lmcore.errors import ConfigError

Put = Callable[[str, str | bytes], Path]
Read = Callable[..., list[Any]]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def _stream(text: str) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(text.encode()))


@settings(deadline=None)
@given(rows=st.lists(VALUES, max_size=5), indent=st.sampled_from([None, 2]))
def test_a_list_is_read_as_the_whole_parser_reads_it(rows: list[Any], indent: int | None) -> None:
    text = json.dumps(rows, indent=indent, ensure_ascii=False)
    assert list(json_rows(_stream(text), records=None)) == json.loads(text)
    inside = json.dumps({"meta": {"n": 1}, "data": {"rows": rows}}, indent=indent)
    assert list(json_rows(_stream(inside), records="data.rows")) == json.loads(text)


def test_objects_behind_one_another_are_read_as_json_lines() -> None:
    assert list(json_rows(_stream('\n {"a": 1}\n{"a": 2}'), records=None)) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('[{"text": "a"}, {"te', "not JSON"),
        ("{oops}", "not JSON"),
        ('["a"]', "not a JSON object, but a text"),
        ("[]", "an empty list"),
        ('[{"text": "a"}', "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_list_of_objects_is_told(
    put: Put, read: Read, content: str, reason: str
) -> None:
    items = read(put("a.json", content))
    (bad,) = [item for item in items if isinstance(item, BadInput)]
    assert reason in bad.reason
    assert "\n" not in bad.reason


def test_a_path_to_no_list_is_told(put: Put, read: Read) -> None:
    (bad,) = read(put("a.json", '{"data": {"text": "a"}}'), records="rows")
    assert bad.reason == "records: rows leads to no list"
    (bad,) = read(put("a.yaml", "data: 1\n"), records="rows")
    assert "no 'rows'" in bad.reason


def test_yaml_documents_are_parted_and_aliases_refused(put: Put, read: Read) -> None:
    text = "%YAML 1.2\n---\n# only a remark\n---\ntext: one\n--- \ntext: |\n  two\n  ---\n...\n"
    assert list(yaml_documents(text)) == [{"text": "one"}, {"text": "two\n---\n"}]
    with pytest.raises(ConfigError, match="aliases"):
        list(yaml_documents("a: &x 1\nb: *x\n"))
    items = read(put("a.yaml", "rows:\n- text: one\n- 5\n"), records="rows")
    assert [type(item) for item in items] == [Record, BadInput]
    assert read(put("b.yaml", b"text: \xff"))[0].reason.startswith("invalid UTF-8")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[{"text": "a"}, {"text": "b", "more": [' + "1," * 9000 + "1]}]", "takes more than"),
        ('[{"text": "a"}, {"text": "' + "b" * 300_000 + '"}]', "a text or number longer than"),
        ('[{"text": "a"}, ' + "9" * 300_000 + "]", "a text or number longer than"),
    ],
)
def test_a_value_without_end_is_told_and_what_stands_before_it_is_kept(
    put: Put, read: Read, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    monkeypatch.setattr("lmcore.data.sources.formats.objects.MAX_VALUE_BYTES", 200_000)
    first, bad = read(put("a.json", text))
    assert first.text == "a"
    assert isinstance(bad, BadInput)
    assert reason in bad.reason
    inside = put("b.json", '{"skipped": [' + "1," * 9000 + '1], "rows": [{"text": "c"}]}')
    assert [item.text for item in read(inside, records="rows")] == ["c"]
