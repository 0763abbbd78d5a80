"""`lmcore history`: everything that was decided about a model, oldest first."""

from __future__ import annotations

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command

_COLUMNS = ("at", "action", "model", "from", "to", "who", "reason")


@command("lmcore history --model annual-messages")
@options.model
def history(model: str | None) -> Answer:
    """List every promotion, refusal and rollback: who, when, why."""
    from flows.commands.shared.models import all_settled
    from flows.registry.history import history as read_history

    registry, names = all_settled(model)
    events = [event.to_json() for name in names for event in read_history(registry, name)]
    events.sort(key=lambda event: str(event["at"]))
    return Answer(values={"events": events}, text=_text)


def _text(answer: Values) -> None:
    if not answer["events"]:
        text.line("Nothing has happened yet.")
        return
    text.table(
        [tuple(event[column] or "-" for column in _COLUMNS) for event in answer["events"]],
        _COLUMNS,
    )
