"""What a version would have done in use: how it read along beside those that answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.commands.shared import text
from lmcore.counted import counted

if TYPE_CHECKING:
    from flows.home.folders import Home
    from flows.registry.versions import Version


def read_beside(home: Home, version: Version) -> list[dict[str, Any]]:
    """One entry for each version that it read along with, newest first; the `shadow` of `show`."""
    from lmcore.data.requests.lines import Beside, Feedback
    from lmcore.data.requests.parts import FEEDBACK, SHADOW, parts, read_lines

    folder = home.requests / version.model
    if not parts(folder / SHADOW):
        return []
    from lmcore.evaluation.drift.in_use import read_along  # torch, for what is seldom there

    truths = {
        (line.id, line.index): line.accepted
        for line in read_lines(folder / FEEDBACK)
        if isinstance(line, Feedback) and line.id and line.accepted is not None
    }
    lines = (line for line in read_lines(folder / SHADOW) if isinstance(line, Beside))
    return [one.to_json() for one in read_along(lines, shadow=version.number, truths=truths)]


def sentence(entry: dict[str, Any]) -> str:
    """An entry for people."""
    told = [f"version {entry['version']}, {counted(entry['requests'], 'request')}"]
    for key, label in (
        ("bits_per_byte", "bits per byte more"),
        ("same", "of the answers the same"),
        ("right", "more of the judged answers right"),
    ):
        if entry[key] is not None:
            told.append(f"{text.interval(entry[key])} {label}")
    return ": ".join([told[0], "; ".join(told[1:]) or "too few to tell"])
