"""Make a version the champion, or go back to the one before.

In: a version, the champion that it was judged against, who asks and why.  Out: the aliases
`champion` and `previous`, and an event in the history.

MLflow moves an alias without asking what it was.  So, under the lock of the model: settle what is
unfinished, compare the champion with the expected one, refuse what did not pass or was taken out of
use, verify every file and let the version answer once; only then move
(`flows.registry.alias_moves`).
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence

from flows.registry.alias_moves import (
    Promotion,
    Smoke,
    answer,
    move,
    name_of,
    settle,
    settle_locked,
    works,
)
from flows.registry.history import Event, read_history, write_event
from flows.registry.models import Registry
from flows.registry.versions import Version
from lmcore.errors import NotFoundError, PromotionConflictError, UserError

__all__ = [
    "Promotion",
    "Smoke",
    "earlier_champions",
    "me",
    "promote",
    "record_rejection",
    "rollback",
    "settle",
]


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
        settle_locked(registry, name, smoke)
        champion = registry.aliases(name).get("champion")
        if champion != expected_champion:
            raise PromotionConflictError(
                f"version {number} of {name} was judged against {name_of(expected_champion)} as"
                f" champion, but that is {name_of(champion)} now; nothing was changed. Judge it"
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
        answer(registry, name, number, smoke)
        return move(registry, intent, previous=champion)


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
        settle_locked(registry, name, smoke)
        champion = registry.aliases(name).get("champion")
        if champion is None:
            raise NotFoundError(f"model {name} has no champion to roll back from.")
        earlier = earlier_champions(registry, name, champion)
        good = next((number for number in earlier if works(registry, name, number, smoke)), None)
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
        return move(registry, intent, previous=before)


def record_rejection(registry: Registry, name: str, number: int, *, who: str, reason: str) -> Event:
    """Write into the history that a candidate was refused, once."""
    with registry.lock(name):
        for event in read_history(registry, name).events:
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


def me() -> str:
    """Who runs this process, for the history."""
    try:
        return os.environ.get("LMCORE_USER") or getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def _objection(registry: Registry, version: Version) -> str | None:
    if version.quarantined is not None:
        return f"is quarantined ({version.quarantined})"
    for other in registry.versions(version.model):
        if other.quarantined is not None and other.weights_sha256 == version.weights_sha256:
            return f"has the weights of version {other.number}, which is quarantined"
    for event in read_history(registry, version.model).events:
        if (
            event.action == "prune"
            and event.quarantined is not None
            and event.weights == version.weights_sha256
        ):
            return f"has the weights of version {event.to_version}, which was quarantined"
    if not version.passed:
        return f"did not pass its gates ({version.verdict})"
    return None


def earlier_champions(
    registry: Registry, name: str, champion: int, versions: Sequence[Version] | None = None
) -> list[int]:
    """Versions that were champion before, the latest first, without any that is quarantined.

    Args:
        registry: Where the model is registered.
        name: The model.
        champion: The champion now.
        versions: All versions of the model, where the caller has asked already.
    """
    known = registry.versions(name) if versions is None else versions
    usable = {v.number for v in known if v.quarantined is None} - {champion}
    moves = [event for event in read_history(registry, name).events if event.moves_champion]
    earlier: list[int] = []
    for event in reversed(moves):
        for number in (event.to_version, event.from_version):
            if number in usable and number not in earlier:
                earlier.append(number)
    return earlier
