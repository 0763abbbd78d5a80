"""See through typography: one spelling for blanks, hyphens, digits and full-width characters.

In: a text.  Out: a text of the same length, character for character, in which no-break, thin and
figure spaces are blanks, figure and en dashes are hyphens, the digits of every script are those of
ASCII and full-width forms are narrow.  Finders read this view and give back positions, which hold
in the text itself.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache


def plain(text: str) -> str:
    """The view of a text; the text itself where it is plain already."""
    if text.isascii():
        return text
    table, odd = _table()
    return odd.sub(lambda match: table[match[0]], text)


@cache
def _table() -> tuple[dict[str, str], re.Pattern[str]]:
    spaces = "\u00a0\u1680\u202f\u205f\u3000" + _between(0x2000, 0x200A)
    # Invisible marks that editors and messengers put around numbers.
    spaces += _between(0x200B, 0x200F) + _between(0x202A, 0x202E) + _between(0x2060, 0x2069)
    dashes = _between(0x2010, 0x2015) + "\u00ad\u2043\u2212\ufe58\ufe63"
    table = dict.fromkeys(spaces, " ") | dict.fromkeys(dashes, "-") | {"\u2044": "/"}
    # The comma, the full stop of sentences and quotation marks separate in their full width.
    for narrow in "()+-./:@_%'" + _between(0x41, 0x5A) + _between(0x61, 0x7A):
        table[chr(ord(narrow) + 0xFEE0)] = narrow
    # Beyond the first plane there are digits of mathematics and of historic scripts alone, and a
    # class of characters up to there is a fast one.
    for code in range(0x80, 0x10000):
        if (digit := unicodedata.decimal(chr(code), None)) is not None:
            table[chr(code)] = str(digit)
    return table, re.compile(f"[{re.escape(''.join(sorted(table)))}]")


def _between(first: int, last: int) -> str:
    return "".join(map(chr, range(first, last + 1)))
