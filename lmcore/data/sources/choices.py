"""Which columns are meant: what somebody named, what can be told, and what has to be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmcore.data.sources.columns import Columns, choose_columns
from lmcore.data.sources.encodings import CANDIDATES
from lmcore.errors import SourceError

#: Asks somebody: what is asked, what may be answered, what is taken where nobody is there.
Ask = Callable[[str, Sequence[str], str], str]


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What somebody said beforehand.

    Attributes:
        text_field: Column of the text.
        target_field: Column of label, translation or summary.
        task: What is to be made of it.
        ask: Asks a person; None: nobody is there.
    """

    text_field: str | None = None
    target_field: str | None = None
    task: str | None = None
    ask: Ask | None = None


def decide_encoding(guessed: str, wishes: Wishes, *, example: str, guesses: list[str]) -> str:
    """The encoding of files that are no UTF-8: what is answered, else the guess, said as one."""
    if wishes.ask is not None:
        choices = list(dict.fromkeys((guessed, *CANDIDATES)))
        question = f"{example} is no UTF-8 and looks like {guessed}; which encoding is it in?"
        return wishes.ask(question, choices, guessed)
    guesses.append(f"{example} and its like are read as {guessed}, which is a guess")
    return guessed


def has_header(wishes: Wishes, *, example: str, guesses: list[str]) -> bool:
    """Whether a table whose first row looks like the others has a header all the same."""
    if wishes.ask is not None:
        question = f"{example}: its first row looks like the others; is it a header?"
        return wishes.ask(question, ["no", "yes"], "no") == "yes"
    guesses.append(f"{example} seems to have no header; its columns are named by number")
    return False


def decide_columns(
    rows: Sequence[Mapping[str, Any]], wishes: Wishes, *, example: str, guesses: list[str]
) -> Columns:
    """The columns that somebody named, or that can be told, or that somebody is asked for.

    Raises:
        SourceError: If no column holds text.
    """
    told = choose_columns(rows)
    text, target, task = told.text, told.target, told.task
    if text is None and wishes.text_field is None:
        names = ", ".join(repr(name[:40]) for name in told.names[:12])
        raise SourceError(
            f"{example}: which column holds the text cannot be told; found {names or 'none'}. Name"
            " it with --text-field"
        )
    if wishes.text_field is not None:
        text = wishes.text_field
        target, task = (None, "language_modelling") if text != told.text else (target, task)
    elif told.rivals and text is not None:
        choices = [text, *told.rivals]
        if wishes.ask is not None:
            text = wishes.ask(f"{example}: which column is the text?", choices, text)
        else:
            guesses.append(
                f"the text of {example} is taken from {text!r}, the longest column; --text-field"
                f" names another ({', '.join(map(repr, told.rivals[:5]))})"
            )
        if target == text:
            target, task = None, "language_modelling"
    if wishes.target_field is not None:
        target, task = wishes.target_field, wishes.task or "sentiment"
    if wishes.task is not None and wishes.task != task:
        target = None if wishes.task == "language_modelling" else target
        task = wishes.task
    elif target is not None and wishes.task is None and wishes.ask is not None:
        question = f"{example}: {target!r} makes {task} possible; which task?"
        answer = wishes.ask(question, [task, "language_modelling"], task)
        target, task = (target, task) if answer == task else (None, answer)
    if task != "language_modelling" and target is None:
        raise SourceError(
            f"{example}: task {task} needs a second column; name it with --target-field"
        )
    return Columns(names=told.names, text=text, task=task, target=target, date=told.date)
