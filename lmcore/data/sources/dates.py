"""The day that text is from, out of a cell or a file's name.

A date that names only its year, month or week stands for the last day of it, so that `data.as_of`
never lets later text through.
"""

from __future__ import annotations

import calendar
import math
import re
from datetime import date, datetime, timedelta
from pathlib import PurePosixPath

_PARTIAL = re.compile(r"(?P<year>\d{4})(?:-(?P<month>\d{2}))?", re.ASCII)
_WEEK = re.compile(r"\d{4}-?W\d{2}", re.ASCII)
_NAME_DAY = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)", re.ASCII)
# Eight digits may be any number; of a date they are where the year is one that text is kept from.
_NAME_COMPACT = re.compile(r"(?<!\d)(?:1[5-9]|20)\d{6}(?!\d)", re.ASCII)
_NAME_MONTH = re.compile(r"(?<!\d)(?<!\d-)\d{4}-\d{2}(?!-?\d)", re.ASCII)
_NAME_YEAR = re.compile(r"\d{4}(?!\d)", re.ASCII)


def iso_date(value: object) -> str | None:
    """An ISO 8601 date from a date, a date-time, or a text or number that says one.

    Understood are YYYY-MM-DD, YYYYMMDD and weeks, each also with a time, and YYYY-MM and YYYY.

    Returns:
        YYYY-MM-DD; None if it is none of these.
    """
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return None
    if isinstance(value, float):  # integers of a column in which some are missing
        if not value.is_integer():
            return None
        value = int(value)
    text = str(value).strip()
    try:
        if partial := _PARTIAL.fullmatch(text):
            year, month = int(partial["year"]), int(partial["month"] or 12)
            return date(year, month, calendar.monthrange(year, month)[1]).isoformat()
        day = datetime.fromisoformat(text).date()
        return (day + timedelta(days=6 * bool(_WEEK.fullmatch(text)))).isoformat()
    except (ValueError, OverflowError):
        return None


def is_missing(value: object) -> bool:
    """Whether a cell holds no date at all: empty, null, or NaN where a column has gaps."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def date_in_name(name: str) -> str | None:
    """The date in a file's name.

    The first YYYY-MM-DD, else YYYYMMDD, else YYYY-MM, else a year that the name starts with.
    """
    stem = PurePosixPath(name).name
    for form in (_NAME_DAY, _NAME_COMPACT, _NAME_MONTH):
        for found in form.finditer(stem):
            if day := iso_date(found[0]):
                return day
    year = _NAME_YEAR.match(stem)
    return iso_date(year[0]) if year else None
