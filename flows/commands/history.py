"""`lmcore history`: everything that was decided about a model, oldest first."""

from __future__ import annotations

import functools
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command

if TYPE_CHECKING:
    from lmcore.mending import Mending

_COLUMNS = ("at", "action", "model", "from", "to", "who", "reason")


@command("lmcore history --model annual-messages", makes_home=False)
@options.any_model
def history(model: str | None) -> Answer:
    """List every promotion, refusal and rollback: who, when, why.

    What was found damaged in the home and mended stands among them; it belongs to no model.
    """
    from flows.commands.shared.models import all_settled, nothing_yet
    from flows.registry.history import history as read_history
    from lmcore.mending import mendings

    registry, names = all_settled(model)
    # Not by the clock, which may have been set back: what follows has the greater identifier.
    events = [(e.id, e.to_json()) for name in names for e in read_history(registry, name)]
    home = registry.home
    events += [_mended(found) for root in (home.root, home.content) for found in mendings(root)]
    events.sort(key=lambda event: event[0])
    return Answer(
        values={"events": [event for _, event in events]},
        text=functools.partial(
            _text, otherwise="Nothing has been decided yet." if names else nothing_yet(home)
        ),
    )


def _mended(found: Mending) -> tuple[str, dict[str, Any]]:
    """Its place among identifiers of events, which begin with nanoseconds; and the event."""
    nanoseconds = int(datetime.fromisoformat(found.at).timestamp() * 1e9)
    return f"{nanoseconds:020d}", {
        "at": found.at,
        "action": "mend",
        "model": "",
        "from": None,
        "to": None,
        "who": "lmcore",
        "reason": f"{found.what}: {found.remedy} ({found.problem})",
        "verdict": None,
    }


def _text(answer: Values, *, otherwise: str) -> None:
    if not answer["events"]:
        text.line(otherwise)
        return
    text.table(
        [tuple(event[column] or "-" for column in _COLUMNS) for event in answer["events"]],
        _COLUMNS,
    )
