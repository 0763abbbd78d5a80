import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.home.environment import Home
from flows.registry.history import history, read_history
from flows.registry.models import Registry
from flows.registry.promotion import promote, record_rejection, rollback, settle
from flows.registry.versions import Version
from lmcore.errors import IntegrityError, NotFoundError, PromotionConflictError, UserError
from lmcore.version_folder import VersionFolder

Register = Callable[..., Version]
MakeFolder = Callable[..., VersionFolder]
NAME = "speeches"
ROOT = Path(__file__).parents[3]
Go = Callable[..., Any]
Moves = Callable[[], list[tuple[str, int | None, int | None]]]


@pytest.fixture
def home(home_of_four: Home) -> Home:
    return home_of_four


def answers(version: VersionFolder) -> None:
    """Stands for loading the weights, which the tests of serving do."""


def silent(version: VersionFolder) -> None:
    raise IntegrityError("the model does not answer")


def test_the_first_model_and_its_successor(registry: Registry, go: Go) -> None:
    first = promote(
        registry, NAME, 1, expected_champion=None, who="ada", reason="first", smoke=answers
    )
    assert (first.champion, first.previous) == (1, None)
    go(3, 1)
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


def test_a_candidate_judged_against_another_champion_is_refused(
    registry: Registry, go: Go, moves: Moves
) -> None:
    go(1, None)
    with pytest.raises(PromotionConflictError, match="judged against none as champion, but that"):
        go(2, None)
    assert registry.aliases(NAME)["champion"] == 1
    with pytest.raises(UserError, match="is the champion already"):
        go(1, 1)
    with pytest.raises(NotFoundError, match="has no version 9"):
        go(9, 1)
    assert moves() == [("promote", None, 1)]


def test_what_did_not_pass_needs_a_person_with_a_reason(
    registry: Registry, go: Go, moves: Moves
) -> None:
    with pytest.raises(UserError, match=r"did not pass its gates .*overfitting FAIL.*; a person"):
        go(4, None)
    with pytest.raises(UserError, match="an override needs a reason"):
        go(4, None, override=True, reason=" ")
    go(4, None, override=True, reason="the demo is today")
    assert moves() == [("override", None, 4)]
    go(1, 4, override=True)  # it passed: nothing was overridden
    assert moves()[-1] == ("promote", 4, 1)


@pytest.mark.parametrize("fault", ["damaged", "silent"])
def test_a_version_that_does_not_work_moves_nothing(
    registry: Registry, damage: Callable[[int], None], fault: str, go: Go, moves: Moves
) -> None:
    go(1, None)
    if fault == "damaged":
        damage(2)
    with pytest.raises(IntegrityError):
        go(2, 1, smoke=answers if fault == "damaged" else silent)
    assert registry.aliases(NAME) == {"champion": 1, "challenger": 3}
    assert moves() == [("promote", None, 1)]
    assert read_history(registry, NAME).dangling == ()


def test_rollback_goes_back_and_the_bad_one_stays_out(
    registry: Registry, register: Register, version_folder: VersionFolder, go: Go, moves: Moves
) -> None:
    for number, expected in ((1, None), (2, 1), (3, 2)):
        go(number, expected)
    done = rollback(registry, NAME, who="bob", reason="it swears", smoke=answers)
    assert (done.champion, done.previous) == (2, 1)
    assert registry.aliases(NAME) == {"champion": 2, "previous": 1}
    assert registry.version(NAME, 3).quarantined == "it swears"
    assert moves()[-1] == ("rollback", 3, 2)
    with pytest.raises(UserError, match="is quarantined"):
        go(3, 2)
    again = register(version_folder, run_key="again")
    same = registry.version(NAME, 3).weights_sha256
    registry.set_version_tag(NAME, again.number, "weights_sha256", same)
    with pytest.raises(UserError, match="has the weights of version 3, which is quarantined"):
        go(again.number, 2)
    done = rollback(registry, NAME, who="bob", reason="this one too", smoke=answers)
    assert (done.champion, done.previous) == (1, None)
    with pytest.raises(NotFoundError, match="no earlier champion"):
        rollback(registry, NAME, who="bob", reason="and this", smoke=answers)
    assert registry.aliases(NAME)["champion"] == 1
    assert registry.version(NAME, 1).quarantined is None


def test_rollback_skips_what_is_damaged(
    registry: Registry, damage: Callable[[int], None], go: Go
) -> None:
    for number, expected in ((1, None), (2, 1), (3, 2)):
        go(number, expected)
    damage(2)
    assert rollback(registry, NAME, who="b", reason="r", smoke=answers).champion == 1


def test_rollback_needs_a_champion_and_a_reason(registry: Registry) -> None:
    with pytest.raises(NotFoundError, match="has no champion"):
        rollback(registry, NAME, who="b", reason="r", smoke=answers)
    with pytest.raises(UserError, match="needs a reason"):
        rollback(registry, NAME, who="b", reason="", smoke=answers)


def test_a_refusal_is_written_once_and_moves_nothing(
    registry: Registry, go: Go, moves: Moves
) -> None:
    go(1, None)
    for _ in range(2):
        record_rejection(registry, NAME, 4, who="pipeline", reason="overfitting FAIL")
    assert moves() == [("promote", None, 1), ("reject", 1, 4)]
    settle(registry, NAME, smoke=answers)
    assert read_history(registry, NAME).champion == 1


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
def test_of_eight_that_promote_at_once_one_wins(
    home: Home, registry: Registry, moves: Moves
) -> None:
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
    assert moves() == [("promote", None, winners[0])]
    assert history(registry, NAME)[0].who == f"w{winners[0]}"
    assert read_history(registry, NAME).dangling == ()
    assert registry.aliases(NAME)["champion"] == winners[0]


def test_every_promotion_of_three_at_once_is_in_the_history(
    registry: Registry, go: Go, moves: Moves
) -> None:
    def promote_until_it_wins(number: int) -> None:
        # Each asks again when it lost, as a candidate does that is judged again.
        won = False
        while not won:
            champion = registry.aliases(NAME).get("champion")
            with contextlib.suppress(PromotionConflictError):
                go(number, champion)
                won = True

    threads = [threading.Thread(target=promote_until_it_wins, args=(n,)) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    chain = moves()
    assert sorted(number for _, _, number in chain if number) == [1, 2, 3]
    assert [before for _, before, _ in chain] == [None] + [to for _, _, to in chain[:-1]]
