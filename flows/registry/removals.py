"""Removals shared by everybody: the list of this home and the tags of the registry, united.

In: a registry.  Out: the removals in force.  Each removal is written as tags of every registered
model that it concerns, under keys that name it and are never used twice, so that homes that share
an MLflow server share what must be forgotten; and as a line of the home's own list, which holds
where there is no model yet and where tags are lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from flows.registry.models import Registry
from flows.registry.tag_values import read_object
from lmcore.data.copies.removal import Removal, Removals, add_removals
from lmcore.errors import IntegrityError

_KEY = re.compile(r"lmcore\.removal\.([0-9a-f]{32})\.(\d{1,3})of(\d{1,3})")
# PostgreSQL's column for tags of a registered model holds 5,000 characters.
_PART_CHARACTERS = 4_500


def current_removals(registry: Registry) -> Removals:
    """Every removal that the home or the registry knows; each learns what only the other knew.

    Raises:
        IntegrityError: If a removal cannot be read: nothing may be trained then.
    """
    shared = {name: _tagged(registry, name) for name in registry.models()}
    united = add_removals(
        registry.home.removals, (removal for found in shared.values() for removal in found.values())
    )
    for name, found in shared.items():
        _tag(registry, name, united.for_model(name).entries, known=found)
    return united


def record_removals(registry: Registry, entries: Iterable[Removal]) -> Removals:
    """Add removals, first to the home and then to the registry; returns all in force."""
    add_removals(registry.home.removals, entries)
    return current_removals(registry)


def _tag(
    registry: Registry, name: str, entries: Iterable[Removal], *, known: dict[str, Removal]
) -> None:
    for removal in entries:
        key = removal.id[:32]
        if key in known:
            continue
        text = json.dumps(removal.to_json(), ensure_ascii=True, sort_keys=True)
        size = _PART_CHARACTERS
        parts = [text[i : i + size] for i in range(0, len(text), size)]
        for number, part in enumerate(parts, start=1):
            registry.add_model_tag(name, f"lmcore.removal.{key}.{number}of{len(parts)}", part)


def _tagged(registry: Registry, name: str) -> dict[str, Removal]:
    parts: dict[str, dict[int, str]] = {}
    sizes: dict[str, int] = {}
    for key, value in registry.model_tags(name).items():
        if match := _KEY.fullmatch(key):
            parts.setdefault(match[1], {})[int(match[2])] = value
            sizes[match[1]] = int(match[3])
    found = {}
    for key, pieces in parts.items():
        if len(pieces) != sizes[key]:
            continue  # a process was killed between two tags; its home's list has all of it
        text = "".join(pieces[number] for number in sorted(pieces))
        try:
            removal = Removal.from_json(read_object(text) or {})
        except ValueError as error:
            raise IntegrityError(
                f"model {name}: the tag lmcore.removal.{key} is no removal ({error}); nothing is"
                " trained while a removal cannot be read. Restore the tag, or ask to forget the"
                " document again and delete it"
            ) from error
        if removal.id[:32] != key:
            raise IntegrityError(
                f"model {name}: the tag lmcore.removal.{key} was changed; nothing is trained"
                " while a removal cannot be read. Restore the tag, or ask to forget the document"
                " again and delete it"
            )
        found[key] = removal
    return found
