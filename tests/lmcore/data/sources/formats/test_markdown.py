"""Front matter is columns, everything else is text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmcore.data.config import DataConfig
from lmcore.data.sources.formats.markdown import split_front_matter

Put = Callable[[str, str | bytes], Path]
Read = Callable[..., list[Any]]


@pytest.mark.parametrize(
    ("text", "values", "body"),
    [
        ("---\ntitle: Hi\n---\nBody\n", {"title": "Hi"}, "Body\n"),
        ("---\r\ntitle: Hi\r\n---\r\nBody", {"title": "Hi"}, "Body"),
        ("---\ntitle: Hi\n...\nBody", {"title": "Hi"}, "Body"),
        ("---\n---\nBody", {}, "---\n---\nBody"),
        ("---\nnever closed\n", {}, "---\nnever closed\n"),
        ("--- a dash\n---\n", {}, "--- a dash\n---\n"),
        ("---\n- a list\n---\nBody", {}, "---\n- a list\n---\nBody"),
        ("", {}, ""),
    ],
)
def test_front_matter_by_hand(text: str, values: dict[str, Any], body: str) -> None:
    assert split_front_matter(text) == (values, body)


def test_a_date_in_front_is_the_date_and_a_key_a_target(put: Put, read: Read) -> None:
    path = put("a.md", "---\ndate: 2024-05-01\ntopic: rivers\n---\nBody.\n")
    data = DataConfig(unit="file")
    (record,) = read(path, data=data, date_field="date", target_field="topic")
    assert (record.text, record.target, record.date) == ("Body.\n", "rivers", "2024-05-01")
