from collections.abc import Callable
from typing import Any

import pytest

from flows.home.environment import Home
from flows.home.locks import BusyError
from flows.registry import alias_moves
from flows.registry.alias_moves import settle
from flows.registry.history import UNKNOWN_PERSON, history
from flows.registry.models import Registry
from flows.registry.promotion import rollback
from lmcore.errors import IntegrityError, PromotionConflictError
from lmcore.version_folder import VersionFolder

Go = Callable[..., Any]
Moves = Callable[[], list[tuple[str, int | None, int | None]]]
NAME = "speeches"


@pytest.fixture
def home(home_of_four: Home) -> Home:
    return home_of_four


def answers(version: VersionFolder) -> None:
    """Stands for loading the weights, which the tests of serving do."""


def silent(version: VersionFolder) -> None:
    raise IntegrityError("the model does not answer")


class KilledError(BaseException):
    """Stands for SIGKILL: nothing runs after it, so handlers are cut off too."""


def test_a_fault_in_the_middle_puts_the_aliases_back(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, go: Go, moves: Moves
) -> None:
    go(1, None)
    go(2, 1)

    def away(*_: object) -> None:
        raise OSError("the registry is away")

    monkeypatch.setattr(alias_moves, "write_event", away)
    with pytest.raises(OSError, match="is away"):
        go(3, 2)
    monkeypatch.undo()
    assert registry.aliases(NAME) == {"champion": 2, "previous": 1, "challenger": 3}
    settle(registry, NAME, smoke=answers)
    assert moves() == [("promote", None, 1), ("promote", 1, 2)]


def killed_at(monkeypatch: pytest.MonkeyPatch, target: object, name: str, call: int) -> None:
    """Let the n-th call of a function, and the clean-up after it, never happen."""
    real = getattr(target, name)
    count = 0

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count == call:
            raise KilledError
        return real(*args, **kwargs)

    def nothing(*_: object) -> None:
        raise KilledError

    monkeypatch.setattr(target, name, wrapper)
    monkeypatch.setattr(alias_moves, "_restore", nothing)


@pytest.mark.parametrize("call", [1, 2])
def test_a_kill_before_the_champion_moved_is_undone(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, call: int, go: Go, moves: Moves
) -> None:
    go(1, None)
    go(2, 1)
    killed_at(monkeypatch, registry, "set_alias", call)  # 1: previous, 2: champion
    with pytest.raises(KilledError):
        go(3, 2)
    monkeypatch.undo()
    assert registry.aliases(NAME)["previous"] == (1 if call == 1 else 2)
    settle(registry, NAME, smoke=answers)
    assert registry.aliases(NAME) == {"champion": 2, "previous": 1, "challenger": 3}
    assert moves()[-1] == ("promote", 1, 2)
    go(3, 2)
    assert moves()[-1] == ("promote", 2, 3)


@pytest.mark.parametrize("works", [True, False])
def test_a_kill_after_the_champion_moved_is_finished_if_it_works(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, works: bool, go: Go, moves: Moves
) -> None:
    go(1, None)
    killed_at(monkeypatch, alias_moves, "write_event", 1)
    with pytest.raises(KilledError):
        go(3, 1)
    monkeypatch.undo()
    assert registry.aliases(NAME)["champion"] == 3
    settle(registry, NAME, smoke=answers if works else silent)
    expected = {"champion": 3, "previous": 1} if works else {"champion": 1, "challenger": 3}
    assert registry.aliases(NAME) == expected
    assert moves() == [("promote", None, 1)] + ([("promote", 1, 3)] if works else [])
    before = dict(registry.model_tags(NAME))
    settle(registry, NAME, smoke=answers)
    assert registry.model_tags(NAME) == before
    assert registry.version(NAME, 3).outcome == ("promoted" if works else "registered")


def test_a_rollback_cut_off_before_the_move_is_undone(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, go: Go
) -> None:
    go(1, None)
    go(2, 1)
    killed_at(monkeypatch, registry, "set_alias", 2)
    with pytest.raises(KilledError):
        rollback(registry, NAME, who="b", reason="bad", smoke=answers)
    monkeypatch.undo()
    assert registry.version(NAME, 2).quarantined == "bad"
    settle(registry, NAME, smoke=answers)
    assert registry.version(NAME, 2).quarantined is None
    assert registry.aliases(NAME)["champion"] == 2
    assert registry.aliases(NAME)["previous"] == 1


def test_an_alias_moved_by_hand_is_noticed_once(registry: Registry, go: Go, moves: Moves) -> None:
    go(1, None)
    registry.set_alias(NAME, "champion", 4)
    for _ in range(2):
        settle(registry, NAME, smoke=answers)
    event = history(registry, NAME)[-1]
    assert (event.action, event.from_version, event.to_version) == ("override", 1, 4)
    assert event.who == UNKNOWN_PERSON
    assert event.verdict == "overfitting FAIL"
    registry.set_alias(NAME, "champion", None)
    with pytest.raises(PromotionConflictError):
        go(2, 4)
    assert moves()[1:] == [("override", 1, 4), ("override", 4, None)]


def test_reading_does_not_wait_for_a_promotion_that_goes_on(registry: Registry) -> None:
    other = Registry(registry.home)
    with registry.lock(NAME):
        settle(other, NAME)
        with pytest.raises(BusyError, match="another process has held the lock"):
            other.lock(NAME, timeout=0.0).__enter__()


def test_reading_takes_no_lock_where_there_is_nothing_to_settle(registry: Registry, go: Go) -> None:
    go(1, None)
    refusing = Registry(registry.home, lock=lambda *_: pytest.fail("a lock was asked for"))
    settle(refusing, NAME, smoke=answers)
    registry.set_alias(NAME, "champion", 2)
    with pytest.raises(BaseException, match="a lock was asked for"):
        settle(refusing, NAME, smoke=answers)
