"""Later text is what a base cannot have read, and no more is claimed."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.controls.bench import make_document
from lmcore.data.sources.dates import iso_date
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.unread import OF_CHAMPION, Unread

DAY = date(2024, 6, 30)


def rows(*dates: str | None) -> list[dict[str, str | None]]:
    return [{"id": f"d{i}", "date": day} for i, day in enumerate(dates)]


@pytest.mark.parametrize(
    ("day", "later"),
    [
        ("2024-06-30", False),
        ("2024-07-01", True),
        ("2024-06-29", False),
        ("2024-06-30T23:59:59", False),
        ("2025-01-31", True),
        ("1799-12-31", False),
        (None, False),
        ("", False),
    ],
)
def test_later_is_after_the_day_itself(day: str | None, later: bool) -> None:
    assert (Unread.of(rows(day), known_until=DAY).ids == {"d0"}) == later


def test_without_a_day_nothing_is_later() -> None:
    assert Unread.of(rows("2999-01-01"), known_until=None).ids == set()


def table(count: int) -> tuple[ScoreTable, list[str]]:
    documents = [make_document(f"text {i}") for i in range(count)]
    scores = ScoreTable.of(documents, num_tokens=[3] * count, nll_nats=np.ones(count))
    return scores, [d.id for d in documents]


def test_enough_later_documents_are_judged_on_alone() -> None:
    scores, ids = table(30)
    unread = Unread(known_until=DAY, ids=frozenset(ids[:12]))
    rest = unread.judged_on(scores, least=12)
    assert rest.ids == set(ids[:12])
    assert "12 held-out documents that are later than 2024-06-30" in rest.told
    assert rest.facts == {
        "known_until": "2024-06-30",
        "later_documents": 12,
        "documents": 30,
        "judged_on_later": True,
    }
    few = unread.judged_on(scores, least=13)
    assert few.ids == set(ids)
    assert "may have read this text before: 12 of the 30 held-out documents are later" in few.told
    assert few.facts["judged_on_later"] is False
    assert len(unread.later(scores)) == 12


def test_all_or_none_may_be_later() -> None:
    scores, ids = table(12)
    every = Unread(known_until=DAY, ids=frozenset(ids)).judged_on(scores, least=12)
    assert (every.ids, every.facts["judged_on_later"]) == (set(ids), True)
    none = Unread(known_until=DAY, ids=frozenset()).judged_on(scores, least=10)
    assert (none.ids, none.facts["later_documents"]) == (set(ids), 0)


def test_near_copies_count_once() -> None:
    scores, ids = table(12)
    scores.cluster[:] = scores.cluster[0]
    rest = Unread(known_until=DAY, ids=frozenset(ids)).judged_on(scores, least=10)
    assert (rest.facts["later_documents"], rest.facts["judged_on_later"]) == (1, False)


def test_an_unknown_day_is_said() -> None:
    scores, ids = table(3)
    rest = Unread(known_until=None, ids=frozenset()).judged_on(scores, least=1)
    assert rest.ids == set(ids)
    assert "until when it knows the world is not stated" in rest.told
    assert rest.facts["known_until"] is None


def test_later_ones_that_were_not_scored_do_not_count() -> None:
    scores, ids = table(3)
    unread = Unread(known_until=DAY, ids=frozenset([*ids[:1], "elsewhere"]))
    assert "1 of the 3 held-out documents is later" in unread.judged_on(scores, least=2).told


@pytest.mark.parametrize("first", [True, False])
def test_of_two_bases_the_one_that_knows_more_is_told_of(first: bool) -> None:
    scores, ids = table(12)
    some = [{"id": i, "date": "2024-08-01"} for i in ids] + rows("2025-01-01")
    sides = [
        Unread.of(some, known_until=DAY),
        Unread.of(some, known_until=date(2024, 12, 31), who=OF_CHAMPION),
    ]
    one, two = sides if first else reversed(sides)
    both = one.by(two)
    assert both.ids == {"d0"}
    told = both.judged_on(scores, least=10).told
    assert told.startswith(
        "The model that the champion began with knows the world until 2024-12-31"
    )
    silent = Unread(known_until=None, ids=frozenset(), who=OF_CHAMPION)
    assert one.by(silent).ids == silent.by(one).ids == frozenset()
    assert "not stated" in silent.by(one).judged_on(scores, least=10).told
    assert "not stated" in one.by(silent).judged_on(scores, least=10).told
    assert one.by(None) is one


@given(st.lists(st.dates(date(2024, 1, 1), date(2026, 1, 1)), max_size=20), st.dates(), st.dates())
def test_whoever_knows_more_has_fewer_later_documents(
    days: list[date], one: date, two: date
) -> None:
    some = rows(*(day.isoformat() for day in days))
    less, more = (Unread.of(some, known_until=day).ids for day in sorted((one, two)))
    assert more <= less


@pytest.mark.parametrize(
    ("written", "later"),
    [("2024-06", False), ("2024", True), ("2024-07", True), ("2023", False), ("2024-W26", False)],
)
def test_a_month_or_a_year_stands_for_its_last_day(written: str, later: bool) -> None:
    assert (Unread.of(rows(iso_date(written)), known_until=DAY).ids == {"d0"}) == later
