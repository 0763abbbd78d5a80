import contextlib
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.home.environment import Home, make_home
from flows.home.locks import BusyError
from flows.registry import alias_moves
from flows.registry.history import UNKNOWN_PERSON, Event, history, read_history, write_event
from flows.registry.models import Registry
from flows.registry.promotion import promote, record_rejection, rollback, settle
from flows.registry.versions import Version
from lmcore.errors import IntegrityError, NotFoundError, PromotionConflictError, UserError
from lmcore.version_folder import VersionFolder

Register = Callable[..., Version]
MakeFolder = Callable[..., VersionFolder]
NAME = "speeches"
ROOT = Path(__file__).parents[3]


def answers(version: VersionFolder) -> None:
    """Stands for loading the weights, which the tests of serving do."""


def silent(version: VersionFolder) -> None:
    raise IntegrityError("the model does not answer")


class KilledError(BaseException):
    """Stands for SIGKILL: nothing runs after it, so handlers are cut off too."""


@pytest.fixture(scope="module")
def four_versions(
    tmp_path_factory: pytest.TempPathFactory, register_in: Register, assemble_in: MakeFolder
) -> Home:
    """Three versions of different weights that passed, and a fourth that did not."""
    root = tmp_path_factory.mktemp("four")
    home = make_home(root / "home")
    registry = Registry(home)
    for number in (1, 2, 3, 4):
        folder = assemble_in(root, f"v{number}", seed=number)
        verdict = "PASS" if number < 4 else "overfitting FAIL"
        register_in(registry, folder, run_key=f"k{number}", passed=number < 4, verdict=verdict)
    return home


@pytest.fixture
def home(tmp_path: Path, four_versions: Home) -> Home:
    """A home of the test's own, whose database names the files of the shared one."""
    home = make_home(tmp_path / "home")
    shutil.copy(four_versions.mlflow_database, home.mlflow_database)
    return home


@pytest.fixture
def damage(registry: Registry) -> Iterator[Callable[[int], None]]:
    """Change the weights of a version; they are put back, because tests share the files."""
    saved: dict[Path, bytes] = {}

    def change(number: int) -> None:
        folder = registry.open(registry.version(NAME, number)).path
        weights = folder / "model" / "model.safetensors"
        saved[weights] = weights.read_bytes()
        weights.write_bytes(b"other")

    yield change
    for path, content in saved.items():
        path.write_bytes(content)


def go(registry: Registry, number: int, expected: int | None, **more: Any) -> None:
    details = {"who": "ada", "reason": "better", "smoke": answers, **more}
    promote(registry, NAME, number, expected_champion=expected, **details)


def moves(registry: Registry) -> list[tuple[str, int | None, int | None]]:
    return [(e.action, e.from_version, e.to_version) for e in history(registry, NAME)]


def test_the_first_model_and_its_successor(registry: Registry) -> None:
    first = promote(
        registry, NAME, 1, expected_champion=None, who="ada", reason="first", smoke=answers
    )
    assert (first.champion, first.previous) == (1, None)
    go(registry, 3, 1)
    assert registry.aliases(NAME) == {"champion": 3, "previous": 1}
    event = history(registry, NAME)[-1].to_json()
    assert event.pop("at").endswith("+00:00")
    assert event == {
        "action": "promote",
        "model": NAME,
        "from": 1,
        "to": 3,
        "who": "ada",
        "reason": "better",
        "verdict": "PASS",
    }
    assert registry.version(NAME, 3).outcome == "promoted"


def test_a_candidate_judged_against_another_champion_is_refused(registry: Registry) -> None:
    go(registry, 1, None)
    with pytest.raises(PromotionConflictError, match="judged against none as champion, but that"):
        go(registry, 2, None)
    assert registry.aliases(NAME)["champion"] == 1
    with pytest.raises(UserError, match="is the champion already"):
        go(registry, 1, 1)
    with pytest.raises(NotFoundError, match="has no version 9"):
        go(registry, 9, 1)
    assert moves(registry) == [("promote", None, 1)]


def test_what_did_not_pass_needs_a_person_with_a_reason(registry: Registry) -> None:
    with pytest.raises(UserError, match=r"did not pass its gates .*overfitting FAIL.*; a person"):
        go(registry, 4, None)
    with pytest.raises(UserError, match="an override needs a reason"):
        go(registry, 4, None, override=True, reason=" ")
    go(registry, 4, None, override=True, reason="the demo is today")
    assert moves(registry) == [("override", None, 4)]
    go(registry, 1, 4, override=True)  # it passed: nothing was overridden
    assert moves(registry)[-1] == ("promote", 4, 1)


@pytest.mark.parametrize("fault", ["damaged", "silent"])
def test_a_version_that_does_not_work_moves_nothing(
    registry: Registry, damage: Callable[[int], None], fault: str
) -> None:
    go(registry, 1, None)
    if fault == "damaged":
        damage(2)
    with pytest.raises(IntegrityError):
        go(registry, 2, 1, smoke=answers if fault == "damaged" else silent)
    assert registry.aliases(NAME) == {"champion": 1, "challenger": 3}
    assert moves(registry) == [("promote", None, 1)]
    assert read_history(registry, NAME).dangling == ()


def test_a_fault_in_the_middle_puts_the_aliases_back(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(registry, 1, None)
    go(registry, 2, 1)

    def away(*_: object) -> None:
        raise OSError("the registry is away")

    monkeypatch.setattr(alias_moves, "write_event", away)
    with pytest.raises(OSError, match="is away"):
        go(registry, 3, 2)
    monkeypatch.undo()
    assert registry.aliases(NAME) == {"champion": 2, "previous": 1, "challenger": 3}
    settle(registry, NAME, smoke=answers)
    assert moves(registry) == [("promote", None, 1), ("promote", 1, 2)]


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
    registry: Registry, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    go(registry, 1, None)
    go(registry, 2, 1)
    killed_at(monkeypatch, registry, "set_alias", call)  # 1: previous, 2: champion
    with pytest.raises(KilledError):
        go(registry, 3, 2)
    monkeypatch.undo()
    assert registry.aliases(NAME)["previous"] == (1 if call == 1 else 2)
    settle(registry, NAME, smoke=answers)
    assert registry.aliases(NAME) == {"champion": 2, "previous": 1, "challenger": 3}
    assert moves(registry)[-1] == ("promote", 1, 2)
    go(registry, 3, 2)
    assert moves(registry)[-1] == ("promote", 2, 3)


@pytest.mark.parametrize("works", [True, False])
def test_a_kill_after_the_champion_moved_is_finished_if_it_works(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, works: bool
) -> None:
    go(registry, 1, None)
    killed_at(monkeypatch, alias_moves, "write_event", 1)
    with pytest.raises(KilledError):
        go(registry, 3, 1)
    monkeypatch.undo()
    assert registry.aliases(NAME)["champion"] == 3
    settle(registry, NAME, smoke=answers if works else silent)
    expected = {"champion": 3, "previous": 1} if works else {"champion": 1, "challenger": 3}
    assert registry.aliases(NAME) == expected
    assert moves(registry) == [("promote", None, 1)] + ([("promote", 1, 3)] if works else [])
    before = dict(registry.model_tags(NAME))
    settle(registry, NAME, smoke=answers)
    assert registry.model_tags(NAME) == before
    assert registry.version(NAME, 3).outcome == ("promoted" if works else "registered")


def test_rollback_goes_back_and_the_bad_one_stays_out(
    registry: Registry, register: Register, version_folder: VersionFolder
) -> None:
    for number, expected in ((1, None), (2, 1), (3, 2)):
        go(registry, number, expected)
    done = rollback(registry, NAME, who="bob", reason="it swears", smoke=answers)
    assert (done.champion, done.previous) == (2, 1)
    assert registry.aliases(NAME) == {"champion": 2, "previous": 1}
    assert registry.version(NAME, 3).quarantined == "it swears"
    assert moves(registry)[-1] == ("rollback", 3, 2)
    with pytest.raises(UserError, match="is quarantined"):
        go(registry, 3, 2)
    again = register(version_folder, run_key="again")
    same = registry.version(NAME, 3).weights_sha256
    registry.set_version_tag(NAME, again.number, "weights_sha256", same)
    with pytest.raises(UserError, match="has the weights of version 3, which is quarantined"):
        go(registry, again.number, 2)
    done = rollback(registry, NAME, who="bob", reason="this one too", smoke=answers)
    assert (done.champion, done.previous) == (1, None)
    with pytest.raises(NotFoundError, match="no earlier champion"):
        rollback(registry, NAME, who="bob", reason="and this", smoke=answers)
    assert registry.aliases(NAME)["champion"] == 1
    assert registry.version(NAME, 1).quarantined is None


def test_rollback_skips_what_is_damaged(registry: Registry, damage: Callable[[int], None]) -> None:
    for number, expected in ((1, None), (2, 1), (3, 2)):
        go(registry, number, expected)
    damage(2)
    assert rollback(registry, NAME, who="b", reason="r", smoke=answers).champion == 1


def test_a_rollback_cut_off_before_the_move_is_undone(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(registry, 1, None)
    go(registry, 2, 1)
    killed_at(monkeypatch, registry, "set_alias", 2)
    with pytest.raises(KilledError):
        rollback(registry, NAME, who="b", reason="bad", smoke=answers)
    monkeypatch.undo()
    assert registry.version(NAME, 2).quarantined == "bad"
    settle(registry, NAME, smoke=answers)
    assert registry.version(NAME, 2).quarantined is None
    assert registry.aliases(NAME)["champion"] == 2
    assert registry.aliases(NAME)["previous"] == 1


def test_rollback_needs_a_champion_and_a_reason(registry: Registry) -> None:
    with pytest.raises(NotFoundError, match="has no champion"):
        rollback(registry, NAME, who="b", reason="r", smoke=answers)
    with pytest.raises(UserError, match="needs a reason"):
        rollback(registry, NAME, who="b", reason="", smoke=answers)


def test_an_alias_moved_by_hand_is_noticed_once(registry: Registry) -> None:
    go(registry, 1, None)
    registry.set_alias(NAME, "champion", 4)
    for _ in range(2):
        settle(registry, NAME, smoke=answers)
    event = history(registry, NAME)[-1]
    assert (event.action, event.from_version, event.to_version) == ("override", 1, 4)
    assert event.who == UNKNOWN_PERSON
    assert event.verdict == "overfitting FAIL"
    registry.set_alias(NAME, "champion", None)
    with pytest.raises(PromotionConflictError):
        go(registry, 2, 4)
    assert moves(registry)[1:] == [("override", 1, 4), ("override", 4, None)]


def test_a_refusal_is_written_once_and_moves_nothing(registry: Registry) -> None:
    go(registry, 1, None)
    for _ in range(2):
        record_rejection(registry, NAME, 4, who="pipeline", reason="overfitting FAIL")
    assert moves(registry) == [("promote", None, 1), ("reject", 1, 4)]
    settle(registry, NAME, smoke=answers)
    assert read_history(registry, NAME).champion == 1


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


def test_reading_does_not_wait_for_a_promotion_that_goes_on(registry: Registry) -> None:
    other = Registry(registry.home)
    with registry.lock(NAME):
        settle(other, NAME)
        with pytest.raises(BusyError, match="another process has held the lock"):
            other.lock(NAME, timeout=0.0).__enter__()


def test_reading_takes_no_lock_where_there_is_nothing_to_settle(registry: Registry) -> None:
    go(registry, 1, None)
    refusing = Registry(registry.home, lock=lambda *_: pytest.fail("a lock was asked for"))
    settle(refusing, NAME, smoke=answers)
    registry.set_alias(NAME, "champion", 2)
    with pytest.raises(BaseException, match="a lock was asked for"):
        settle(refusing, NAME, smoke=answers)


_CONTENDER = """
import json, sys, threading
from pathlib import Path
from flows.home.environment import make_home
from flows.registry.promotion import promote
from flows.registry.models import Registry
from lmcore.errors import LmcoreError
home, numbers = make_home(Path(sys.argv[1])), json.loads(sys.argv[2])
won, lost = [], []
def contend(number):
    try:
        promote(Registry(home), "speeches", number, expected_champion=None, who=f"w{number}",
            reason="race", smoke=lambda version: None)
        won.append(number)
    except LmcoreError as error:
        lost.append(type(error).__name__)
threads = [threading.Thread(target=contend, args=(number,)) for number in numbers]
Registry(home)
print("ready", flush=True)
sys.stdin.readline()
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps([won, lost]))
"""


@pytest.mark.slow
def test_of_eight_that_promote_at_once_one_wins(home: Home, registry: Registry) -> None:
    contenders = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _CONTENDER, str(home.root), json.dumps(numbers)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for numbers in ([1, 2, 3, 1], [2, 3, 1, 2])
    ]
    for contender in contenders:
        assert contender.stdout is not None
        assert contender.stdout.readline() == "ready\n"
    outputs = [contender.communicate("go\n")[0] for contender in contenders]
    results = [json.loads(output) for output in outputs]
    winners = [number for won, _ in results for number in won]
    losers = [reason for _, lost in results for reason in lost]
    assert len(winners) == 1
    assert losers == ["PromotionConflictError"] * 7
    assert moves(registry) == [("promote", None, winners[0])]
    assert history(registry, NAME)[0].who == f"w{winners[0]}"
    assert read_history(registry, NAME).dangling == ()
    assert registry.aliases(NAME)["champion"] == winners[0]


def test_every_promotion_of_three_at_once_is_in_the_history(registry: Registry) -> None:
    def promote_until_it_wins(number: int) -> None:
        # Each asks again when it lost, as a candidate does that is judged again.
        won = False
        while not won:
            champion = registry.aliases(NAME).get("champion")
            with contextlib.suppress(PromotionConflictError):
                go(registry, number, champion)
                won = True

    threads = [threading.Thread(target=promote_until_it_wins, args=(n,)) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    chain = moves(registry)
    assert sorted(number for _, _, number in chain if number) == [1, 2, 3]
    assert [before for _, before, _ in chain] == [None] + [to for _, _, to in chain[:-1]]
