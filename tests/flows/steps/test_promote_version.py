from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flows.registry.history import history
from flows.registry.models import Registry
from flows.registry.versions import Version
from flows.steps.promote_version import Decision, promote_version
from flows.steps.run import Run
from lmcore.config import RunConfig
from lmcore.errors import PromotionConflictError
from lmcore.version_folder import VersionFolder

Assemble = Callable[..., VersionFolder]


@pytest.fixture
def run_that(
    made: Any, registry: Registry, small_config: Callable[..., RunConfig]
) -> Callable[..., Run]:
    """A run of the model `speeches` in the home of the test."""
    return lambda **changes: replace(
        made.run, home=registry.home, config=small_config(name="speeches", **changes)
    )


def told(registry: Registry) -> list[tuple[str, int | None, int | None, str]]:
    events = history(registry, "speeches")
    return [(e.action, e.from_version, e.to_version, e.reason) for e in events]


def test_what_passed_becomes_the_champion_and_replaces_it(
    registry: Registry,
    register: Callable[..., Version],
    run_that: Callable[..., Run],
    assemble_in: Assemble,
    tmp_path: Any,
) -> None:
    first = register()
    decision = promote_version(run_that(), first, judged_against=None)
    assert decision == Decision(
        outcome="promoted", reason="PASS; is the first champion", champion=1
    )
    second = register(assemble_in(tmp_path, "second", seed=1), run_key="k2")
    decision = promote_version(run_that(), second, judged_against=1)
    assert (decision.champion, decision.reason) == (2, "PASS; replaces version 1")
    assert told(registry) == [
        ("promote", None, 1, "PASS; is the first champion"),
        ("promote", 1, 2, "PASS; replaces version 1"),
    ]


def test_a_run_that_was_killed_after_its_promotion_promotes_nothing_twice(
    registry: Registry, register: Callable[..., Version], run_that: Callable[..., Run]
) -> None:
    version = register()
    promote_version(run_that(), version, judged_against=None)
    before = told(registry)
    again = promote_version(run_that(), version, judged_against=None)
    assert again == Decision(outcome="promoted", reason="PASS", champion=1)
    assert told(registry) == before


def test_what_did_not_pass_is_written_down_and_moves_nothing(
    registry: Registry,
    register: Callable[..., Version],
    run_that: Callable[..., Run],
    assemble_in: Assemble,
    tmp_path: Any,
) -> None:
    promote_version(run_that(), register(), judged_against=None)
    worse = register(
        assemble_in(tmp_path, "worse", seed=1), run_key="k2", passed=False, verdict="champion FAIL"
    )
    for promote in (True, False):
        decision = promote_version(run_that(promote=promote), worse, judged_against=1)
        assert decision == Decision(outcome="rejected", reason="champion FAIL", champion=1)
    assert told(registry)[1:] == [("reject", 1, 2, "champion FAIL")]


def test_where_promotion_is_switched_off_it_is_registered_only(
    registry: Registry, register: Callable[..., Version], run_that: Callable[..., Run]
) -> None:
    decision = promote_version(run_that(promote=False), register(), judged_against=None)
    assert (decision.outcome, decision.champion) == ("registered", None)
    assert decision.reason == "PASS; promotion is switched off (promote: false)"
    assert told(registry) == []


def test_a_champion_that_changed_meanwhile_is_a_conflict(
    registry: Registry,
    register: Callable[..., Version],
    run_that: Callable[..., Run],
    assemble_in: Assemble,
    tmp_path: Any,
) -> None:
    promote_version(run_that(), register(), judged_against=None)
    late = register(assemble_in(tmp_path, "late", seed=1), run_key="k2")
    with pytest.raises(PromotionConflictError, match="judged against none as champion"):
        promote_version(run_that(), late, judged_against=None)
    assert registry.aliases("speeches")["champion"] == 1
