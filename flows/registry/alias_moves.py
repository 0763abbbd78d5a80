"""Move the aliases of a model so that a kill at any point can be finished or undone.

In: an intent (from, to, who, why), under the model's lock.  Out: moved aliases and an event.

    write the intent -> previous -> champion -> open models:/NAME@champion -> write the event

An error puts the aliases back.  A kill leaves an intent without an event: `settle` finishes it
where the champion was moved and works, and undoes it otherwise.  `settle` also notices an alias
that was moved by hand in MLflow's page, and writes that into the history.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from flows.home.locks import BusyError
from flows.registry.history import (
    UNKNOWN_PERSON,
    Event,
    read_history,
    write_abort,
    write_event,
    write_intent,
)
from flows.registry.models import Registry
from lmcore.errors import IntegrityError, NotFoundError, PromotionConflictError
from lmcore.version_folder import VersionFolder

logger = logging.getLogger(__name__)

Smoke = Callable[[VersionFolder], None]


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What a promotion or a rollback did.

    Attributes:
        event: As written into the history.
        champion: The champion now.
        previous: The version that `previous` names now.
    """

    event: Event
    champion: int
    previous: int | None


def move(registry: Registry, intent: Event, *, previous: int | None) -> Promotion:
    """Move `previous` and `champion`, with the intent before and the event after."""
    name, number = intent.model, intent.to_version
    assert number is not None
    intent = write_intent(registry, intent)
    try:
        if intent.action == "rollback" and intent.from_version is not None:
            # First, so that no retrain promotes it in the moment between.
            registry.set_version_tag(name, intent.from_version, "quarantined", intent.reason)
        _set(registry, name, "previous", previous)
        registry.set_alias(name, "champion", number)
        # What the alias names now is what users get: look at that, not at what was meant.
        now = registry.version(name, "champion")
        if now.number != number:
            raise PromotionConflictError(
                f"the champion of {name} was moved elsewhere at the same moment; look at"
                " `lmcore status` and try again."
            )
        registry.open(now)
        event = write_event(registry, intent)
    except BaseException:
        _restore(registry, intent)
        raise
    _tidy(registry, name, number)
    return Promotion(event=event, champion=number, previous=previous)


def _restore(registry: Registry, intent: Event) -> None:
    """Put both aliases where they were before an intent, and say so."""
    if registry.aliases(intent.model).get("champion") == intent.to_version:
        _set(registry, intent.model, "champion", intent.from_version)
    _set(registry, intent.model, "previous", intent.previous)
    if (
        intent.action == "rollback"
        and intent.from_version is not None
        and registry.version(intent.model, intent.from_version).quarantined == intent.reason
    ):
        registry.clear_version_tag(intent.model, intent.from_version, "quarantined")
    write_abort(registry, intent)


def _set(registry: Registry, name: str, alias: str, number: int | None) -> None:
    if registry.aliases(name).get(alias) != number:
        registry.set_alias(name, alias, number)


def settle(registry: Registry, name: str, *, smoke: Smoke | None = None) -> None:
    """Finish or undo what a killed process left, and note an alias that was moved by hand.

    Every command that reads the champion or the history calls this first.  It does not wait for a
    promotion that is going on: that one settles for itself.
    """
    if _settled(registry, name):
        return
    with contextlib.suppress(BusyError), registry.lock(name, timeout=1.0):
        settle_locked(registry, name, smoke)


def _settled(registry: Registry, name: str) -> bool:
    """Whether there is nothing to do; asked without the lock, which takes seconds on a server."""
    history = read_history(registry, name)
    aliases = registry.aliases(name)
    champion = aliases.get("champion")
    if history.dangling or champion != history.champion:
        return False
    return champion is None or (
        aliases.get("challenger") != champion
        and registry.version(name, champion).outcome == "promoted"
    )


def settle_locked(registry: Registry, name: str, smoke: Smoke | None) -> None:
    """`settle` for whoever holds the lock already."""
    history = read_history(registry, name)
    for intent in history.dangling:
        if registry.aliases(name).get("champion") == intent.to_version and works(
            registry, name, intent.to_version, smoke
        ):
            write_event(registry, intent)
            logger.warning("finished a promotion that was cut off: %s", _sentence(intent))
        else:
            _restore(registry, intent)
            logger.warning("undid a promotion that was cut off: %s", _sentence(intent))
    if history.dangling:
        history = read_history(registry, name)
    champion = registry.aliases(name).get("champion")
    if champion != history.champion:
        write_event(
            registry,
            Event(
                action="override",
                model=name,
                from_version=history.champion,
                to_version=champion,
                who=UNKNOWN_PERSON,
                reason="the alias `champion` was moved outside of this command",
                verdict=None if champion is None else registry.version(name, champion).verdict,
            ),
        )
    elif champion is not None:
        _tidy(registry, name, champion)


def _tidy(registry: Registry, name: str, champion: int) -> None:
    """What follows from an event; done after it, and again by whoever finds it undone."""
    if registry.aliases(name).get("challenger") == champion:
        registry.set_alias(name, "challenger", None)
    if registry.version(name, champion).outcome != "promoted":
        registry.set_version_tag(name, champion, "outcome", "promoted")


def answer(registry: Registry, name: str, number: int, smoke: Smoke | None) -> None:
    """Verify a version, load it and let it answer once; whatever is broken raises."""
    if smoke is None:
        from lmcore.serving import smoke_test  # torch takes seconds to import

        smoke = smoke_test
    smoke(registry.open(registry.version(name, number)))


def works(registry: Registry, name: str, number: int | None, smoke: Smoke | None) -> bool:
    """Whether a version is there, is what was registered, and answers."""
    if number is None:
        return False
    try:
        answer(registry, name, number, smoke)
    except (IntegrityError, NotFoundError) as error:
        logger.warning("version %s of %s cannot be used: %s", number, name, error)
        return False
    return True


def name_of(number: int | None) -> str:
    """A version, or none, in a sentence."""
    return "none" if number is None else f"version {number}"


def _sentence(event: Event) -> str:
    return (
        f"{event.action} {event.model} {name_of(event.from_version)} -> {name_of(event.to_version)}"
    )
