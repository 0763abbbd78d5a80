"""Who made which version the champion, when and why: an append-only history in the registry.

In: events.  Out: events in order.  Each event is one tag of the registered model, under a key that
is never used twice, so the embedded store and a server share one history and nothing is rewritten.

A promotion writes what it is about to do (`intent`), moves aliases, and writes what it did
(`event`).  An intent without an event or an `abort` is the trace of a process that was killed in
between; `flows.registry.promotion` finds it and finishes or undoes it.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, get_args

from flows.registry.tag_values import read_object
from flows.registry.versions import clean

Action = Literal["promote", "rollback", "reject", "override", "forget", "prune"]
_KEY = re.compile(r"lmcore\.(intent|event|abort)\.(\d{20}-[0-9a-f]{8})")
_TEXT_CHARACTERS = 4_000
_NUMBERS = ("from_version", "to_version", "previous")
#: What the value of a key may be, where that is not a text.
_KINDS: dict[str, Any] = {
    **dict.fromkeys(_NUMBERS, int | None),
    **dict.fromkeys(("verdict", "weights", "quarantined"), str | None),
}
#: Who moves an alias in MLflow's own page is not recorded there.
UNKNOWN_PERSON = "unknown (moved in MLflow)"


class Tags(Protocol):
    """The part of a registry that the history needs."""

    def model_tags(self, name: str) -> dict[str, str]:
        """Tags of a registered model."""
        ...

    def add_model_tag(self, name: str, key: str, value: str) -> None:
        """Add one tag."""
        ...


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened to a model.

    Attributes:
        id: Orders events by time; unique.
        at: ISO 8601 time in UTC.
        action: promote, rollback, reject, override, forget or prune.
        model: Registered model.
        from_version: Champion before.
        to_version: Champion after; of a `reject`, the version that was refused, and of a `prune`
            the one that was deleted.
        who: Person or process.
        reason: Why, in words.
        verdict: What the gates said of `to_version`.
        previous: Version that was `previous` before; what an undo restores.
        weights: Of a `prune`: the hash of the weights that are gone.
        quarantined: Of a `prune`: why the version was out of use, if it was.
    """

    id: str = ""
    at: str = ""
    action: Action
    model: str
    from_version: int | None
    to_version: int | None
    who: str
    reason: str
    verdict: str | None = None
    previous: int | None = None
    weights: str | None = None
    quarantined: str | None = None

    @property
    def moves_champion(self) -> bool:
        """Whether the champion is `to_version` after this event."""
        return self.action in ("promote", "rollback", "override")

    def to_json(self) -> dict[str, Any]:
        """The event as `lmcore history --json` prints it."""
        return {
            "at": self.at,
            "action": self.action,
            "model": self.model,
            "from": self.from_version,
            "to": self.to_version,
            "who": self.who,
            "reason": self.reason,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, kw_only=True)
class History:
    """All that is written of one model.

    Attributes:
        events: What happened, oldest first.
        dangling: Intents that neither happened nor were undone.
    """

    events: tuple[Event, ...]
    dangling: tuple[Event, ...]

    @property
    def champion(self) -> int | None:
        """The champion after the last event that moved it."""
        moves = [event for event in self.events if event.moves_champion]
        return moves[-1].to_version if moves else None


def read_history(tags: Tags, name: str) -> History:
    """Read the history of a model; empty if the model does not exist."""
    written: dict[str, dict[str, str]] = {"intent": {}, "event": {}, "abort": {}}
    for key, value in tags.model_tags(name).items():
        if match := _KEY.fullmatch(key):
            kind, identifier = match.groups()
            written[kind][identifier] = value
    events, aborts = _events(written["event"]), _events(written["abort"])
    # Nearly every intent has its event, and is not read again.
    done = events.keys() | aborts.keys()
    dangling = _events({key: value for key, value in written["intent"].items() if key not in done})
    return History(events=tuple(events.values()), dangling=tuple(dangling.values()))


def _events(written: Mapping[str, str]) -> dict[str, Event]:
    """Those that can be read, by identifier and in its order."""
    found = ((key, _parse(value, key)) for key, value in sorted(written.items()))
    return {key: event for key, event in found if event is not None}


def history(tags: Tags, name: str) -> list[Event]:
    """Everything that happened to a model, oldest first."""
    return list(read_history(tags, name).events)


def write_intent(tags: Tags, event: Event) -> Event:
    """Write what is about to be done; the answer has the identifier and the time."""
    stamped = _stamp(tags, event)
    _write(tags, "intent", stamped)
    return stamped


def write_event(tags: Tags, event: Event) -> Event:
    """Write what was done: an intent under its own identifier, anything else under a new one."""
    stamped = event if event.id else _stamp(tags, event)
    _write(tags, "event", stamped)
    return stamped


def write_abort(tags: Tags, intent: Event) -> None:
    """Write that an intent was undone; it is not part of the history."""
    _write(tags, "abort", intent)


def _stamp(tags: Tags, event: Event) -> Event:
    # The clock may have been set back; the order of the history must not follow it.
    keys = [match[2] for key in tags.model_tags(event.model) if (match := _KEY.fullmatch(key))]
    last = max((int(key.split("-")[0]) for key in keys), default=0)
    identifier = f"{max(time.time_ns(), last + 1):020d}-{secrets.token_hex(4)}"
    return replace(
        event,
        id=identifier,
        at=event.at or datetime.now(UTC).isoformat(timespec="milliseconds"),
        who=clean(event.who, limit=200),
        reason=clean(event.reason, limit=_TEXT_CHARACTERS),
        verdict=_short(event.verdict),
        quarantined=_short(event.quarantined),
    )


def _short(text: str | None) -> str | None:
    return None if text is None else clean(text, limit=_TEXT_CHARACTERS)


def _write(tags: Tags, kind: str, event: Event) -> None:
    value = json.dumps(asdict(event), sort_keys=True, ensure_ascii=False)
    tags.add_model_tag(event.model, f"lmcore.{kind}.{event.id}", value)


def _parse(value: str, identifier: str) -> Event | None:
    # A tag that somebody edited into something else is not an event any more.
    raw = read_object(value)
    if raw is None or raw.get("action") not in get_args(Action):
        return None
    if any(not isinstance(found, _KINDS.get(key, str)) for key, found in raw.items()):
        return None
    if any(isinstance(raw.get(key), bool) for key in _NUMBERS):
        return None
    try:
        return replace(Event(**raw), id=identifier)
    except TypeError:  # a key too many, or too few
        return None
