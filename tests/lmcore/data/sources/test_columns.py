"""Which column is the text: by name and by what it holds, never numbers, dates or addresses."""

from typing import Any

import pytest

from lmcore.data.sources.columns import Columns, choose_columns

LONG = "some words of a sentence that goes on"


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        # A column that is called as text is wins over a longer one, whatever its case.
        ([{"Text": "short words", "url": "https://example.org/" + "x" * 80}], "Text"),
        ([{"review": "a film", "content": "more words"}], "content"),
        # One that is called so and holds none does not.
        ([{"text": "", "abstract": "some words"}], "abstract"),
        ([{"text": None, "n": 3, "words": "w"}], "words"),
        ([{"text": "12.5", "remark": "fine"}], "remark"),
        ([{"text": "2024-05-01", "remark": "fine"}], "remark"),
        ([{"body": "a@example.org", "remark": "fine"}], "remark"),
        ([{"title": "ab", "abstract": "abc"}, {"title": "abcde"}], "title"),
        ([{"data": {"article": {"body": LONG, "id": 1}}}], "data.article.body"),
        ([{"messages": [{"role": "user", "content": LONG}]}], "messages[].content"),
        ([{"lines": ["one word", "two words"], "n": 1}], "lines[]"),
        ([{"text": "这是一个句子", "n": "1"}], "text"),
        ([{"text": "[['a'], ['b']]", "remark": "fine"}], "remark"),
        ([{"n": 1}, {"m": 2.5}], None),
        ([{"id": "3f2a9c4e11aa22bb", "day": "2024-05"}], None),
        ([{}], None),
        ([], None),
    ],
)
def test_the_text_is_the_column_of_that_name_or_the_longest(
    rows: list[dict[str, Any]], text: str | None
) -> None:
    assert choose_columns(rows).text == text


def test_where_only_length_decides_the_others_are_told() -> None:
    found = choose_columns(
        [{"left": "five words are here now", "right": "five words are there now"}]
    )
    assert (found.text, found.rivals) == ("right", ("left",))
    assert choose_columns([{"left": LONG, "right": "word"}]).rivals == ()
    assert choose_columns([{"text": "word", "right": LONG}]).rivals == ()


ROWS = [{"text": f"{LONG} {i}", "label": i % 3} for i in range(20)]


@pytest.mark.parametrize(
    ("rows", "task", "target"),
    [
        (ROWS, "sentiment", "label"),
        ([{**row, "label": float(row["label"])} for row in ROWS], "sentiment", "label"),
        ([{**row, "label": i} for i, row in enumerate(ROWS)], "language_modelling", None),
        ([{**row, "label": 1} for row in ROWS], "language_modelling", None),
        ([{**row, "label": LONG} for row in ROWS], "language_modelling", None),
        (
            [{"text": row["text"], "n": i % 2} for i, row in enumerate(ROWS)],
            "language_modelling",
            None,
        ),
        ([{"article": LONG * 9, "highlights": LONG}] * 3, "summarization", "highlights"),
        ([{"article": LONG, "summary": LONG * 9}] * 3, "language_modelling", None),
        (
            [{"translation": {"de": "ein Satz", "en": "a sentence"}}],
            "translation",
            "translation.en",
        ),
        ([{"de": "ein Satz", "en": "a sentence", "fr": "une phrase"}], "language_modelling", None),
    ],
)
def test_a_second_column_makes_a_task(
    rows: list[dict[str, Any]], task: str, target: str | None
) -> None:
    found = choose_columns(rows)
    assert (found.task, found.target) == (task, target)


def test_a_date_is_named_where_it_is_one() -> None:
    rows = [{"text": LONG, "date": "2024-05-01"}, {"text": LONG, "date": None}]
    assert choose_columns(rows).date == "date"
    assert choose_columns([{"text": LONG, "date": "soon"}]).date is None


def test_paths_are_listed_in_order_and_bounded() -> None:
    assert choose_columns([{"b": 1, "a": {"c": "x y"}}]).names == ("b", "a.c")
    wide = choose_columns([{f"c{i}": "x" for i in range(1000)}])
    assert len(wide.names) == 200
    deep: dict[str, Any] = {"text": "the end"}
    for _ in range(50):
        deep = {"in": deep}
    assert choose_columns([deep]) == Columns(names=("in.in.in.in.in",))
