"""Later text is what a base cannot have read, and no more is claimed."""

from datetime import date

import numpy as np
import pytest

from lmcore.controls.bench import make_document
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.unread import Unread

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
    chosen, sentence = unread.judged_on(scores, least=12)
    assert chosen == set(ids[:12])
    assert "12 held-out documents that are later than 2024-06-30" in sentence
    everything, sentence = unread.judged_on(scores, least=13)
    assert everything == set(ids)
    assert "may have read this text before: 12 of the held-out documents are later" in sentence
    assert len(unread.later(scores)) == 12


def test_an_unknown_day_is_said() -> None:
    scores, ids = table(3)
    chosen, sentence = Unread(known_until=None, ids=frozenset()).judged_on(scores, least=1)
    assert chosen == set(ids)
    assert "until when it knows the world is not stated" in sentence


def test_later_ones_that_were_not_scored_do_not_count() -> None:
    scores, ids = table(3)
    unread = Unread(known_until=DAY, ids=frozenset([*ids[:1], "elsewhere"]))
    assert "1 of the held-out documents are later" in unread.judged_on(scores, least=2)[1]
