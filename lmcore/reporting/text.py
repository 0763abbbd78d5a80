"""Values as text: numbers with the digits they deserve, and strangers' text made safe to show.

Corpus text is hostile.  HTML escaping is the template engine's work; what is left is done
here: control characters, which could rearrange a line or vanish, are made visible, text has
a length, and Markdown, which has no engine that escapes, gets an escape and a fence.
"""

from __future__ import annotations

import math
import re
import unicodedata

from markupsafe import Markup

from lmcore.counted import counted

MISSING = "–"
NAME_CHARACTERS = 240
TEXT_CHARACTERS = 20_000

# Controls but tab and line feed; bidirectional embeddings, overrides and isolates, with which
# text can be shown in another order than it is stored; invisible tags; lone surrogates, which
# no file can hold.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)
SHARE = "share"
_COUNTED = {"parameters", "tokens", "tokens/s", "documents", "bytes", "count", "steps"}


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return "\u2421" if code == 0x7F else f"[U+{code:04X}]"


def visible(text: str) -> str:
    """Text in which every control character can be seen and none has an effect."""
    return _UNSAFE.sub(_picture, text.replace("\r\n", "\n").replace("\r", "\n"))


def finalize(value: object) -> object:
    """Last step before escaping of everything that a template prints."""
    if value is None:
        return MISSING
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def clip(text: object, limit: int = NAME_CHARACTERS) -> str:
    """The beginning of a text, and how much of it is not shown."""
    whole = str(text)
    if len(whole) <= limit:
        return whole
    return f"{whole[:limit]}… ({counted(len(whole) - limit, 'more character')})"


def one_line(text: object, limit: int = NAME_CHARACTERS) -> str:
    """A short text on one line."""
    return clip(" ".join(visible(str(text)).split()), limit)


def number(value: float | None, *, unit: str = "", width: float | None = None) -> str:
    """A number for people.

    Args:
        value: Finite; None: unknown.
        unit: Counts have no decimals; a share is shown in percent.
        width: Of the value's interval: two of its digits are shown; without it, four of the value.
    """
    if value is None:
        return MISSING
    if unit == SHARE:
        return f"{number(value * 100, width=width and width * 100)} %"
    if value == 0:
        return "0"
    if unit in _COUNTED or abs(value) >= 10_000:
        text = f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.3g}"
    elif abs(value) < 1e-3 and (not width or width < 1e-3):
        mantissa, exponent = f"{value:.1e}".split("e")
        text = f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    elif width and width > 0:
        text = f"{value:,.{min(5, max(0, 1 - math.floor(math.log10(width))))}f}"
    else:
        decimals = max(0, 3 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{decimals}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    text = text.removeprefix("-") if not any(digit in text for digit in "123456789") else text
    return text.replace("-", "\N{MINUS SIGN}")


def interval(lower: float | None, upper: float | None, *, unit: str = "") -> str:
    """`1.47 to 1.55`; one bound alone says which it is; nothing is an empty text."""
    if lower is None:
        return "" if upper is None else f"at most {number(upper, unit=unit)}"
    if upper is None:
        return f"at least {number(lower, unit=unit)}"
    return " to ".join(number(end, unit=unit, width=upper - lower) for end in (lower, upper))


def duration(seconds: float | None) -> str:
    """Wall-clock time with the two units that matter."""
    if seconds is None:
        return MISSING
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(num_bytes: float | None) -> str:
    """Bytes in decimal units, as disks and data cards count them."""
    if num_bytes is None:
        return MISSING
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(num_bytes) >= scale:
            return f"{num_bytes / scale:,.{1 if num_bytes / scale < 100 else 0}f} {unit}"
    return f"{num_bytes:,.0f} B"


def percent(share: float) -> str:
    """A share of one; small ones are not rounded away."""
    return "< 0.1 %" if 0 < share < 1e-3 else f"{share:.1%}".replace(".0%", "%").replace("%", " %")


def words(name: object) -> str:
    """An identifier as words: `near_duplicate_clusters` is `near duplicate clusters`."""
    return one_line(name).replace("_", " ").strip()


_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~$#@{}])")
_ENTITIES = {"<": "&lt;", ">": "&gt;"}


def markdown(text: object, limit: int = NAME_CHARACTERS) -> Markup:
    """Text as one line of Markdown that means nothing but itself.

    Also `&`, so that no entity is decoded, and the two beginnings from which GitHub's dialect
    makes a link by itself.  It must stand after other text: a list mark is not escaped.
    """
    line = one_line(text, limit).replace("&", "&amp;")
    line = _MARKDOWN.sub(lambda match: _ENTITIES.get(match[1], "\\" + match[1]), line)
    line = re.sub(r"(?i)\b(www)\.", r"\1\\.", line.replace("://", ":\\//"))
    return Markup(line)  # noqa: S704 - here, safe means that it needs no further escape


def markdown_finalize(value: object) -> object:
    """Last step of everything that a Markdown template prints: escape what is not marked safe."""
    if isinstance(value, Markup) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return MISSING if value is None else markdown(value, 1_000)


def fence(text: object, language: str = "text") -> Markup:
    """A fenced block that the text cannot close: its fence is longer than any run in it."""
    body = visible(clip(text, TEXT_CHARACTERS))
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    mark = "`" * max(3, longest + 1)
    return Markup(f"{mark}{language}\n{body}\n{mark}")  # noqa: S704 - nothing ends the fence


def slug(text: object) -> str:
    """Lower-case letters and digits joined by hyphens; `model` where nothing is left."""
    ascii_text = unicodedata.normalize("NFKD", str(text)).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9.]+", "-", ascii_text.lower())[:80].strip("-") or "model"
