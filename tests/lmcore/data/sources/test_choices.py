"""Columns: named beforehand, told, asked for, or said to be a guess."""

from typing import Any

import pytest

from lmcore.data.sources.choices import (
    Wishes,
    decide_columns,
    decide_encoding,
    has_header,
)
from lmcore.data.sources.columns import Columns
from lmcore.errors import SourceError

ROWS = [{"left": f"the {i} words", "right": f"{i} other words", "label": i % 2} for i in range(9)]


def decide(rows: list[dict[str, Any]], **wishes: Any) -> tuple[Columns, list[str]]:
    guesses: list[str] = []
    return decide_columns(rows, Wishes(**wishes), example="t.csv", guesses=guesses), guesses


def test_a_guess_is_said_and_a_named_column_is_none() -> None:
    found, guesses = decide(ROWS)
    assert (found.text, found.task, found.target) == ("right", "sentiment", "label")
    assert guesses == [
        "the text of t.csv is taken from 'right', the longest column; --text-field names another"
        " ('left')"
    ]
    found, guesses = decide(ROWS, text_field="left", target_field="label")
    assert (found.text, found.task, found.target, guesses) == ("left", "sentiment", "label", [])


def test_somebody_who_is_there_is_asked() -> None:
    asked = []

    def ask(question: str, choices: Any, usual: str) -> str:
        asked.append(question)
        return "left" if "text" in question else "language_modelling"

    found, guesses = decide(ROWS, ask=ask)
    assert (found.text, found.task, found.target, guesses) == (
        "left",
        "language_modelling",
        None,
        [],
    )
    assert asked == [
        "t.csv: which column is the text?",
        "t.csv: 'label' makes sentiment possible; which task?",
    ]


def test_a_task_that_was_named_is_kept() -> None:
    found, _ = decide(ROWS, task="language_modelling")
    assert (found.task, found.target) == ("language_modelling", None)
    found, _ = decide(ROWS, task="summarization", target_field="left", text_field="right")
    assert (found.task, found.target) == ("summarization", "left")
    with pytest.raises(SourceError, match="task translation needs a second column"):
        decide([{"text": "some words"}], task="translation")


def test_a_table_without_text_is_refused_with_what_was_found() -> None:
    with pytest.raises(
        SourceError, match=r"t\.csv: which column .* found 'n'\. Name it with --text"
    ):
        decide([{"n": 1}])
    found, _ = decide([{"n": 1}], text_field="n")
    assert found.text == "n"


def test_an_encoding_and_a_header_are_asked_for_or_said_to_be_guesses() -> None:
    guesses: list[str] = []
    assert decide_encoding("cp1252", Wishes(), example="t.csv", guesses=guesses) == "cp1252"
    assert not has_header(Wishes(), example="t.csv", guesses=guesses)
    assert guesses == [
        "t.csv and its like are read as cp1252, which is a guess",
        "t.csv seems to have no header; its columns are named by number",
    ]
    asked: list[Any] = []

    def ask(question: str, choices: Any, usual: str) -> str:
        asked.append((next(iter(choices)), usual))
        return "cp1250" if "UTF-8" in question else "yes"

    wishes = Wishes(ask=ask)
    assert decide_encoding("cp1252", wishes, example="t.csv", guesses=guesses) == "cp1250"
    assert has_header(wishes, example="t.csv", guesses=guesses)
    assert asked == [("cp1252", "cp1252"), ("no", "no")]
    assert len(guesses) == 2
