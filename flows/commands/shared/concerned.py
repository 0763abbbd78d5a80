"""Which versions a document concerns, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.commands.shared import text

_DOCUMENTS = 5
_MATCHES = 10


def show(answer: Mapping[str, Any]) -> None:
    """One block a version, or that none met it; then what nobody can know, or could ask."""
    named = ", ".join(f"{d['name']} ({d['id'][:12]})" for d in answer["documents"][:_DOCUMENTS])
    more = " ..." if len(answer["documents"]) > _DOCUMENTS else ""
    text.line(f"{text.one_line(named, 400)}{more}")
    if not answer["versions"]:
        text.line("  No version met it, or a near-copy of it.")
    for version in answer["versions"]:
        aliases = f" ({', '.join(version['aliases'])})" if version["aliases"] else ""
        what = "was trained on it" if version["trained"] else "met it, not in training"
        text.line(f"  {version['model']} version {version['version']}{aliases} {what}:")
        for match in version["documents"][:_MATCHES]:
            text.line(
                f"    {match['split']:<11} {match['kind']:<9} {match['share']:>6.1%}"
                f"  {text.one_line(match['name'], 60)} ({match['id'][:12]}), {match['license']}"
            )
        if len(version["documents"]) > _MATCHES:
            text.line(f"    and {len(version['documents']) - _MATCHES:,} more")
    for row in answer["unrecorded"]:
        text.line(f"  {text.one_line(row['sentence'], 400)}")
    for problem in answer["problems"]:
        text.line(f"  {problem}")
