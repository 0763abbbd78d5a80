"""Find internet addresses (IPv4, IPv6), and leave versions, sections and times alone.

In: the view of a text.  Out: where addresses stand.  Four numbers with dots are also how versions
and sections are written: behind a word that says so, or where each number has one digit and no
word speaks of a network, they stay.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from lmcore.data.text.personal.scripts import SPACED
from lmcore.data.text.personal.spans import Found

_IPV4 = re.compile(r"(?<![0-9A-Za-z_.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9A-Za-z_]|\.[0-9])")
_LOOK_BACK = 24
_NUMBERED = re.compile(
    rf"(?:(?<![{SPACED}0-9_])(?:v|ver|vers|version|versión|versão|versione|versie|wersja|verze|версия|версії"
    r"|release|rel|build|firmware|software|driver|patch|update|kernel|sdk|api|section|sections|sect"
    r"|sec|subsection|chapter|chap|ch|clause|article|art|appendix|annex|paragraph|para|part|rule"
    r"|item|step|figure|fig|table|tab|abb|abbildung|tabelle|kapitel|kap|abschnitt|abs|ziffer|nr"
    r"|artikel|tableau|chapitre|sección|capítulo|seção|sezione|capitolo|hoofdstuk|paragraaf"
    r"|rozdział|раздел|глава|пункт|п|oid)|§|¶|版本|版|第|バージョン|버전|章)"
    r"[ .:=/_(-]{0,3}(?:v|number|no\.?|nr\.?)?[ ]?\Z",
    re.IGNORECASE,
)
_NETWORK = re.compile(
    rf"(?<![{SPACED}0-9_<])(?:ip|ipv4|address|adresse|addr|host|server|router|gateway|dns|ping|subnet|proxy"
    rf"|client|peer|login|connect\w*|from|https?|ssh|ftp|сервер|адрес)(?![{SPACED}_])[^0-9<>\0]{{0,16}}\Z"
    r"|(?:地址|アドレス|主机|服务器|주소)[^0-9<>\0]{0,6}\Z",
    re.IGNORECASE,
)
_HEADING = re.compile(r"[ \t]*[^\W\d_]")

_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
_BEFORE = re.compile(r"[0-9A-Fa-f:]{0,40}\Z")
_BEHIND = re.compile(r"[0-9A-Fa-f:.]{0,48}")


def find_ipv4(view: str, start: int, end: int) -> Iterator[Found]:
    """Every IPv4 address between two positions."""
    for match in _IPV4.finditer(view, start, end):
        parts = match[0].split(".")
        if parts[0] == "0" or any(int(p) > 255 or (len(p) > 1 and p[0] == "0") for p in parts):
            continue
        # The end of a run is no end of the text.
        behind = view[match.end() : match.end() + 2]
        if behind[:1].isalnum() and behind.isascii():
            continue
        before = view[max(0, match.start() - _LOOK_BACK) : match.start()]
        if not _is_numbering(view, match, before):
            yield Found(match.start(), match.end(), "IP")


def _is_numbering(view: str, match: re.Match[str], before: str) -> bool:
    if _NUMBERED.search(before):
        return True
    if _NETWORK.search(before):
        return False
    parts = match[0].split(".")
    if all(len(part) == 1 for part in parts):
        return True
    # The number of a heading: first on its line, small, and words behind it.
    small = all(len(part) <= 2 for part in parts) and int(parts[0]) < 10
    return small and (not before or before[-1] == "\n") and bool(_HEADING.match(view, match.end()))


def find_ipv6(view: str) -> Iterator[Found]:
    """Every IPv6 address of a text."""
    end = 0
    colons = _COLONS.search(view)
    while colons is not None:
        before = _BEFORE.search(view, max(end, colons.start() - 40), colons.start())
        start = before.start() if before else colons.start()
        behind = _BEHIND.match(view, start)
        stop = behind.end() if behind else colons.end()
        if (found := _ipv6(view, start, stop)) is not None:
            yield found
        end = max(stop, colons.end())
        colons = _COLONS.search(view, end)


def _ipv6(view: str, start: int, stop: int) -> Found | None:
    text = view[start:stop].rstrip(".")
    # A single colon at either end belongs to the sentence.
    if text.endswith(":") and not text.endswith("::"):
        text = text[:-1]
    stop = start + len(text)
    before = view[start - 1 : start]
    if text.startswith(":") and (not text.startswith("::") or text.startswith(":::")):
        text, start, before = text[1:], start + 1, ""
    if any(c.isascii() and (c.isalnum() or c in "_:") for c in before + view[stop : stop + 1]):
        return None
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return None
    # `a::b` is a name in a program: an address has a figure and more than four of its digits.
    digits = [c for c in text if c not in ":."]
    if len(digits) < 5 or not any(c.isdigit() for c in digits) or ":" not in text.strip(":"):
        return None
    return Found(start, stop, "IP")
