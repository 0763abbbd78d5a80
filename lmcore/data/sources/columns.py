"""Which column of a table is the text, and whether another makes a task of it.

In: some rows, nested or flat.  Out: the choice, the paths that could be meant as well, and what
speaks for it.  A column of numbers, dates, addresses or identifiers is never text, whatever it is
called; a column that is called as text is preferred to a longer one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lmcore.data.language_codes import KNOWN
from lmcore.data.sources.dates import iso_date
from lmcore.data.sources.labels import label

TEXT_NAMES = (
    *("text", "content", "body", "message", "article", "document", "review", "tweet"),
    *("comment", "post", "sentence", "story", "transcript", "question", "description"),
)
_LABEL_NAMES = (
    *("label", "labels", "sentiment", "class", "category", "polarity", "rating", "stars"),
    *("emotion", "topic", "intent", "stance"),
)
_SUMMARY_NAMES = ("summary", "highlights", "abstract", "tldr")
_DATE_NAMES = ("date", "day", "created", "created_at", "published", "published_at", "timestamp")
_MAX_DEPTH = 4
_MAX_PATHS = 200
_MAX_CLASSES = 20
_NO_TEXT = re.compile(
    r"[\[{].*[\]}]|[+-]?[\d.,\s%€$£]+|(?:https?|ftp)://\S+|www\.\S+|\S+@\S+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,}",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the columns of a table seem to be.

    Attributes:
        names: All paths, in order.
        text: The text; None where no column holds any.
        rivals: Columns that may be meant as well, where nothing but length decided.
        task: `language_modelling`, or what a second column makes of it.
        target: That column.
        date: A column of dates.
    """

    names: tuple[str, ...] = ()
    text: str | None = None
    rivals: tuple[str, ...] = ()
    task: str = "language_modelling"
    target: str | None = None
    date: str | None = None


@dataclass
class _Column:
    values: list[Any] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)

    @property
    def is_text(self) -> bool:
        """Whether most values are words: not numbers, dates, addresses, identifiers."""
        given = [text for text in self.strings if text.strip()]
        if len(given) < 0.5 * len(self.values) or not given:
            return False
        return sum(_is_words(text) for text in given) > 0.5 * len(given)

    @property
    def length(self) -> float:
        """Mean number of characters."""
        return sum(map(len, self.strings)) / max(1, len(self.strings))


def choose_columns(rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Tell text, target and date of a table by some of its rows."""
    found: dict[str, _Column] = {}
    for row in rows:
        for path, value in _paths(row):
            if path in found or len(found) < _MAX_PATHS:
                column = found.setdefault(path, _Column())
                column.values.append(value)
                if isinstance(value, str):
                    column.strings.append(value)
    texts = [path for path, column in found.items() if column.is_text]
    names = tuple(found)
    if not texts:
        return Columns(names=names)
    dates = (path for path in names if _last(path) in _DATE_NAMES and _dates(found[path]))
    date = next(dates, None)
    if pair := _translation(texts):
        return Columns(names=names, text=pair[0], task="translation", target=pair[1], date=date)
    text, rivals = _text(texts, found)
    target, task = _summary(text, texts, found), "summarization"
    if target is None:
        target, task = _label(text, found), "sentiment"
    if target is None:
        task = "language_modelling"
    return Columns(names=names, text=text, rivals=rivals, task=task, target=target, date=date)


def _paths(row: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The leaves of a row with the paths that lead to them."""
    for key, value in row.items():
        name = str(key)
        if prefix and not re.fullmatch(r"[^.\[\]]+", name):
            continue  # no path leads there
        path = f"{prefix}.{name}" if prefix else name
        yield from _inside(path, value, depth)


def _inside(path: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    nested = depth < _MAX_DEPTH
    if isinstance(value, Mapping) and nested:
        yield from _paths(value, path, depth + 1)
    elif isinstance(value, list) and nested:
        first = value[0] if value else None
        if isinstance(first, Mapping):
            yield from _paths(first, f"{path}[]", depth + 1)
        elif isinstance(first, str):
            yield f"{path}[]", "\n".join(item for item in value if isinstance(item, str))
    else:
        yield path, value


def _last(path: str) -> str:
    return path.replace("[]", "").rpartition(".")[2].lower()


def _is_words(text: str) -> bool:
    text = text.strip()
    return (
        any(character.isalpha() for character in text)
        and _NO_TEXT.fullmatch(text) is None
        and iso_date(text) is None
    )


def _dates(column: _Column) -> bool:
    given = [value for value in column.values if value not in (None, "")]
    return bool(given) and all(iso_date(value) is not None for value in given)


def _text(texts: Sequence[str], found: Mapping[str, _Column]) -> tuple[str, tuple[str, ...]]:
    for wanted in TEXT_NAMES:
        for path in texts:
            if _last(path) == wanted:
                return path, ()
    ordered = sorted(texts, key=lambda path: -found[path].length)
    best = ordered[0]
    near = [path for path in ordered[1:] if found[path].length > 0.5 * found[best].length]
    return best, tuple(near)


def _translation(texts: Sequence[str]) -> tuple[str, str] | None:
    """Two columns that are called as languages, in one place."""
    by_place: dict[str, list[str]] = {}
    for path in texts:
        place, _, name = path.rpartition(".")
        if name.lower() in KNOWN:
            by_place.setdefault(place, []).append(path)
    pairs = [paths for paths in by_place.values() if len(paths) == 2]
    return (pairs[0][0], pairs[0][1]) if len(pairs) == 1 else None


def _summary(text: str, texts: Sequence[str], found: Mapping[str, _Column]) -> str | None:
    for path in texts:
        shorter = found[path].length < 0.5 * found[text].length
        if path != text and _last(path) in _SUMMARY_NAMES and shorter:
            return path
    return None


def _label(text: str, found: Mapping[str, _Column]) -> str | None:
    """A column that is called as classes are, and has few values that come again and again."""
    for wanted in _LABEL_NAMES:
        for path, column in found.items():
            if path == text or _last(path) != wanted:
                continue
            classes = {_class(value) for value in column.values} - {None}
            few = 2 <= len(classes) <= min(_MAX_CLASSES, len(column.values) // 2)
            if few and all(len(name) <= 40 for name in classes if name):
                return path
    return None


def _class(value: object) -> str | None:
    try:
        found = label(value, name="")
    except ValueError:
        return None
    return found if isinstance(found, str) else None
