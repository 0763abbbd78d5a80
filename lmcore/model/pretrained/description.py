"""What a model says of itself in words: its README.md, and the licence at the head of it."""

from __future__ import annotations

import re

from lmcore.model.pretrained.places import Place

_CARD_BYTES = 64 << 10
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)\r?\n---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_LICENSE = re.compile(r"^license:[ \t]*([\"']?)([A-Za-z0-9][\w.+-]*)\1[ \t]*\r?$", re.MULTILINE)


def card_of(place: Place) -> str:
    """The beginning of the README.md of a folder; empty where there is none."""
    path = place.files.get("README.md")
    if path is None:
        return ""
    with path.open("rb") as stream:
        return stream.read(_CARD_BYTES).decode("utf-8", errors="replace")


def license_in(card: str) -> str:
    """The licence that the YAML at the head of a card names; empty where it names none.

    Read as text: what a stranger wrote there need not be parsed for one word.
    """
    head = _FRONT_MATTER.match(card)
    found = _LICENSE.search(head[1]) if head else None
    return found[2] if found else ""
