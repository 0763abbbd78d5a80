"""Make a version the champion, or go back: one small state machine under a lock.

In: a version, the champion that it was judged against, who asks and why.  Out: the aliases
`champion` and `previous`, and an event in the history.

MLflow moves an alias without asking what it was.  So, holding the lock of the model:

    finish or undo what a killed process left    note an alias that was moved by hand
    compare the champion with the expected one    verify every file and let the version answer once
    write the intent -> previous -> champion -> open models:/NAME@champion -> write the event

An error puts the aliases back.  A kill leaves an intent without an event, which the next call
finishes (the champion was moved and works) or undoes.
"""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass

from flows.history import UNKNOWN_PERSON, Event, read_ledger, write_abort, write_event, write_intent
from flows.registry import BusyError, Registry
from flows.versions import Version
from lmcore.errors import IntegrityError, NotFoundError, PromotionConflictError, UserError
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


def promote(
    registry: Registry,
    name: str,
    number: int,
    *,
    expected_champion: int | None,
    who: str,
    reason: str,
    override: bool = False,
    smoke: Smoke | None = None,
) -> Promotion:
    """Make a version the champion.

    Args:
        registry: Where the model is registered.
        name: The model.
        number: The version.
        expected_champion: The champion that the version was judged against; None: there was none.
        who: Person or process that asks.
        reason: Why; an override without a reason is refused.
        override: A person takes responsibility for a version that did not pass, was quarantined,
            or equals one that was.
        smoke: Lets the loaded version answer once; default `lmcore.serving.smoke_test`.

    Raises:
        PromotionConflictError: If the champion is not the expected one.
        NotFoundError: If the version does not exist.
        IntegrityError: If its files are not what was registered; no alias has moved.
        UserError: If it did not pass, or an override gives no reason.
    """
    if override and not reason.strip():
        raise UserError("an override needs a reason; give it with --reason TEXT.")
    with registry.lock(name):
        _settle(registry, name, smoke)
        champion = registry.aliases(name).get("champion")
        if champion != expected_champion:
            raise PromotionConflictError(
                f"version {number} of {name} was judged against {_name(expected_champion)} as"
                f" champion, but that is {_name(champion)} now; nothing was changed. Judge it"
                " again."
            )
        version = registry.version(name, number)
        if champion == number:
            raise UserError(f"version {number} of {name} is the champion already.")
        objection = _objection(registry, version)
        if objection and not override:
            raise UserError(
                f"version {number} of {name} {objection}; a person can promote it with"
                " --override --reason TEXT, and the history says so."
            )
        intent = Event(
            action="override" if objection else "promote",
            model=name,
            from_version=champion,
            to_version=number,
            who=who,
            reason=reason,
            verdict=version.verdict,
            previous=registry.aliases(name).get("previous"),
        )
        # Before anything moves: an alias never names a version that cannot answer.
        _answer(registry, name, number, smoke)
        return _move(registry, intent, previous=champion)


def rollback(
    registry: Registry, name: str, *, who: str, reason: str, smoke: Smoke | None = None
) -> Promotion:
    """Go back to the last champion that still works; the present one is quarantined.

    Nothing promotes a quarantined version, or a new one with the same weights, but a person's
    override.

    Raises:
        NotFoundError: If there is no champion, or no earlier one to go back to.
        UserError: If there is no reason.
    """
    if not reason.strip():
        raise UserError("a rollback needs a reason; give it with --reason TEXT.")
    with registry.lock(name):
        _settle(registry, name, smoke)
        champion = registry.aliases(name).get("champion")
        if champion is None:
            raise NotFoundError(f"model {name} has no champion to roll back from.")
        earlier = _earlier_champions(registry, name, champion)
        good = next((number for number in earlier if _works(registry, name, number, smoke)), None)
        if good is None:
            raise NotFoundError(
                f"model {name} has no earlier champion that can be used; nothing was changed."
                " Train a better one, or promote another version."
            )
        intent = Event(
            action="rollback",
            model=name,
            from_version=champion,
            to_version=good,
            who=who,
            reason=reason,
            verdict=registry.version(name, good).verdict,
            previous=registry.aliases(name).get("previous"),
        )
        before = next(iter(earlier[earlier.index(good) + 1 :]), None)
        return _move(registry, intent, previous=before)


def record_rejection(registry: Registry, name: str, number: int, *, who: str, reason: str) -> Event:
    """Write into the history that a candidate was refused, once."""
    with registry.lock(name):
        for event in read_ledger(registry, name).events:
            if event.action == "reject" and event.to_version == number:
                return event
        return write_event(
            registry,
            Event(
                action="reject",
                model=name,
                from_version=registry.aliases(name).get("champion"),
                to_version=number,
                who=who,
                reason=reason,
                verdict=registry.version(name, number).verdict,
            ),
        )


def settle(registry: Registry, name: str, *, smoke: Smoke | None = None) -> None:
    """Finish or undo what a killed process left, and note an alias that was moved by hand.

    Every command that reads the champion or the history calls this first.  It does not wait for a
    promotion that is going on: that one settles for itself.
    """
    with contextlib.suppress(BusyError), registry.lock(name, timeout=1.0):
        _settle(registry, name, smoke)


def me() -> str:
    """Who runs this process, for the history."""
    try:
        return os.environ.get("LMCORE_USER") or getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def _settle(registry: Registry, name: str, smoke: Smoke | None) -> None:
    ledger = read_ledger(registry, name)
    for intent in ledger.dangling:
        if registry.aliases(name).get("champion") == intent.to_version and _works(
            registry, name, intent.to_version, smoke
        ):
            write_event(registry, intent)
            logger.warning("finished a promotion that was cut off: %s", _sentence(intent))
        else:
            _restore(registry, intent)
            logger.warning("undid a promotion that was cut off: %s", _sentence(intent))
    if ledger.dangling:
        ledger = read_ledger(registry, name)
    champion = registry.aliases(name).get("champion")
    if champion != ledger.champion:
        write_event(
            registry,
            Event(
                action="override",
                model=name,
                from_version=ledger.champion,
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


def _objection(registry: Registry, version: Version) -> str | None:
    if version.quarantined is not None:
        return f"is quarantined ({version.quarantined})"
    for other in registry.versions(version.model):
        if other.quarantined is not None and other.weights_sha256 == version.weights_sha256:
            return f"has the weights of version {other.number}, which is quarantined"
    if not version.passed:
        return f"did not pass its gates ({version.verdict})"
    return None


def _move(registry: Registry, intent: Event, *, previous: int | None) -> Promotion:
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


def _earlier_champions(registry: Registry, name: str, champion: int) -> list[int]:
    """Versions that were champion before, the latest first, without any that is quarantined."""
    usable = {v.number for v in registry.versions(name) if v.quarantined is None} - {champion}
    moves = [event for event in read_ledger(registry, name).events if event.moves_champion]
    earlier: list[int] = []
    for event in reversed(moves):
        for number in (event.to_version, event.from_version):
            if number in usable and number not in earlier:
                earlier.append(number)
    return earlier


def _answer(registry: Registry, name: str, number: int, smoke: Smoke | None) -> None:
    if smoke is None:
        from lmcore.serving import smoke_test  # torch takes seconds to import

        smoke = smoke_test
    smoke(registry.open(registry.version(name, number)))


def _works(registry: Registry, name: str, number: int | None, smoke: Smoke | None) -> bool:
    if number is None:
        return False
    try:
        _answer(registry, name, number, smoke)
    except (IntegrityError, NotFoundError) as error:
        logger.warning("version %s of %s cannot be used: %s", number, name, error)
        return False
    return True


def _name(number: int | None) -> str:
    return "none" if number is None else f"version {number}"


def _sentence(event: Event) -> str:
    return f"{event.action} {event.model} {_name(event.from_version)} -> {_name(event.to_version)}"
