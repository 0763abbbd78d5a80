"""Find e-mail addresses, also in international domains and beside text without blanks.

In: the view of a text (`typography.plain`).  Out: where addresses stand.  The part in front of the
`@` may have letters of every script that puts blanks between words; Chinese, Japanese, Korean and
Thai characters beside an address are text.  Of an address that is written in them wholly, at most
`_IDEOGRAPHS` characters in front of the `@` are taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lmcore.data.text.personal.scripts import RUNNING, SPACED
from lmcore.data.text.personal.spans import Found

_LOCAL = re.compile(rf"[{SPACED}0-9._%+&'-]{{1,64}}\Z")
_IDEOGRAPHS = 6
_IDEOGRAPHIC_LOCAL = re.compile(rf"[{RUNNING}]{{1,{_IDEOGRAPHS}}}\Z")


def _domain(letters: str) -> re.Pattern[str]:
    label = rf"[{letters}0-9](?:[{letters}0-9-]{{0,61}}[{letters}0-9])?"
    return re.compile(rf"{label}(?:\.{label}){{1,8}}")


_DOMAIN = _domain(SPACED)
_IDEOGRAPHIC_DOMAIN = _domain(SPACED + RUNNING)
_TOP = re.compile(rf"xn--[a-z0-9-]{{2,59}}|[{SPACED}]{{2,24}}", re.IGNORECASE)
# Top-level domains in scripts without blanks (root zone of IANA), behind which text may go on.
_RUNNING_TOPS = (
    *(
        "中国",
        "中國",
        "公司",
        "网络",
        "網絡",
        "香港",
        "台湾",
        "台灣",
        "新加坡",
        "澳門",
        "澳门",
        "政务",
    ),
    *(
        "在线",
        "中文网",
        "网址",
        "网站",
        "集团",
        "商城",
        "商店",
        "企业",
        "移动",
        "公益",
        "游戏",
        "信息",
    ),
    *(
        "我爱你",
        "みんな",
        "コム",
        "ストア",
        "クラウド",
        "한국",
        "닷컴",
        "닷넷",
        "삼성",
        "世界",
        "機構",
        "机构",
    ),
)
# `icon@2x.png` is a picture, `name@18.2.0-beta.rc` a package.
_NO_DOMAIN = re.compile(r"[0-9](?:\.[0-9])?x\.|[0-9]+\.[0-9]")


def find_emails(view: str) -> Iterator[Found]:
    """Every address, in order and disjoint."""
    end = 0
    at = view.find("@")
    while at >= 0:
        if at > end and (stop := _domain_end(view, at + 1)):
            start = _local_start(view, end, at)
            if start < at:
                yield Found(start, stop, "EMAIL")
                end = stop
        at = view.find("@", at + 1)


def _local_start(view: str, end: int, at: int) -> int:
    found = _LOCAL.search(view, max(end, at - 64), at)
    if found is None:
        found = _IDEOGRAPHIC_LOCAL.search(view, max(end, at - _IDEOGRAPHS), at)
    if found is None:
        return at
    # Punctuation in front belongs to the sentence, not to the address.
    return found.start() + len(found[0]) - len(found[0].lstrip(".-%+'&"))


def _domain_end(view: str, start: int) -> int:
    """Where the domain ends that begins here; 0 where none does."""
    if _NO_DOMAIN.match(view, start):
        return 0
    for pattern in (_DOMAIN, _IDEOGRAPHIC_DOMAIN):
        if found := pattern.match(view, start):
            labels = found[0].split(".")
            while len(labels) > 1:
                if top := _top(labels[-1]):
                    return start + len(".".join(labels[:-1])) + 1 + len(top)
                labels.pop()
    return 0


def _top(label: str) -> str:
    """The part of the last label that is a top-level domain; empty where there is none.

    Text may go on behind it: `anna@example.org-Adresse`, or without any blank in Chinese.
    """
    if label.isascii() or not (running := re.search(f"[{RUNNING}]", label)):
        found = _TOP.match(label)
        whole = found is not None and label[found.end() : found.end() + 1] in ("", "-")
        return found[0] if found is not None and whole else ""
    if running.start() > 0:
        return _top(label[: running.start()])
    return max((top for top in _RUNNING_TOPS if label.startswith(top)), key=len, default="")
