import pytest

from flows.home.environment import Home
from flows.registry.alias_moves import settle
from flows.registry.connection import connect
from flows.registry.history import Event, history, write_event
from flows.registry.models import Registry

NAME = "speeches"


@pytest.fixture
def registry(home: Home) -> Registry:
    """With a model that has no version yet: the history is the model's."""
    connect(home).create_registered_model(NAME)
    return Registry(home)


def test_history_keeps_its_order_when_the_clock_is_set_back(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for now in (2_000_000, 1_000_000, 1_500_000):
        monkeypatch.setattr("time.time_ns", lambda now=now: now)
        write_event(
            registry,
            Event(
                **{"action": "forget", "model": NAME, "from_version": None, "to_version": None},
                who=f"a\0\udc80{now}",
                reason="x" * 10_000,
            ),
        )
    events = history(registry, NAME)
    assert [event.who for event in events] == ["a?2000000", "a?1000000", "a?1500000"]
    assert all(len(event.reason) == 4000 for event in events)


def test_a_tag_that_is_not_ours_is_no_event(registry: Registry) -> None:
    registry.add_model_tag(NAME, f"lmcore.event.{1:020d}-00000000", "edited by hand")
    registry.add_model_tag(NAME, f"lmcore.event.{2:020d}-00000000", "[]")
    registry.add_model_tag(NAME, "lmcore.event.x", "{}")
    assert history(registry, NAME) == []


def test_a_model_that_does_not_exist_has_no_history(registry: Registry) -> None:
    settle(registry, "nobody")
    assert history(registry, "nobody") == []
