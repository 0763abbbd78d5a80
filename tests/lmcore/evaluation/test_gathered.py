"""What the gates are told: which tables there are, and what neither of two bases can have read."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pytest

from lmcore.evaluation.gates.champion import Incumbent
from lmcore.evaluation.gathered import Evidence
from lmcore.evaluation.unread import OF_CHAMPION, Unread

OWN = Unread(known_until=date(2024, 6, 30), ids=frozenset({"a", "b"}))
THEIRS = Unread(known_until=date(2024, 12, 31), ids=frozenset({"b"}), who=OF_CHAMPION)


@pytest.fixture
def evidence(scores):
    table = scores([1.0, 2.0])
    nothing = dict.fromkeys(("model", "memorisation", "final", "champion_table"))
    return Evidence(
        **nothing,
        validation=table,
        compared=table,
        train=table,
        reference=SimpleNamespace(train=table, validation=table),
        baselines={5: table},
        champion=None,
        texts=[],
    )


def test_every_table_has_the_name_of_its_file(evidence, scores):
    names = {"validation", "train", "reference-train", "reference-validation", "kn5"}
    assert set(evidence.tables()) == names
    more = replace(evidence, untouched=scores([3.0]), champion_table=scores([4.0]))
    assert set(more.tables()) == {*names, "untouched", "champion"}


@pytest.mark.parametrize(
    ("own", "theirs", "both"),
    [
        (None, None, None),
        (OWN, None, OWN),
        (None, THEIRS, THEIRS),
        (OWN, THEIRS, THEIRS),
    ],
)
def test_what_neither_base_can_have_read(evidence, own, theirs, both):
    assert replace(evidence, unread=own).unread_by_either == own
    champion = Incumbent(version=1, measured=None, unread=theirs)
    found = replace(evidence, unread=own, champion=champion).unread_by_either
    assert found == both
