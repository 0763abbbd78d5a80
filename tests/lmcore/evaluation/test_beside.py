"""A claim rests on text that the base cannot have read, or says what cannot be excluded."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lmcore.controls.bench import make_document
from lmcore.evaluation.beside import among, champion_beside, competence_beside, shown_beside
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.champion import Incumbent
from lmcore.evaluation.scores.scoring import measured_bits
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.evaluation.unread import OF_CHAMPION, Unread

GATES = GatesConfig.default()
RESAMPLING = Resampling(resamples=1000)
DOCUMENTS = [make_document(f"document number {i} says so " * 20) for i in range(60)]
LATER = frozenset(d.id for d in DOCUMENTS[:25])
SPREAD = np.random.default_rng(0).normal(0, 0.02, 60)


def scores(bits: Any) -> ScoreTable:
    """A table with so many bits for each byte."""
    nats = np.array([d.num_bytes for d in DOCUMENTS]) * bits * np.log(2)
    return ScoreTable.of(DOCUMENTS, num_tokens=[100] * 60, nll_nats=nats)


def evidence(
    own: Any,
    *,
    unread: Unread | None,
    untouched: Any = None,
    champion: Any = None,
    champions: Unread | None = None,
) -> Any:
    table = scores(own)
    incumbent = None
    if champion is not None:
        incumbent = Incumbent(
            version=7,
            measured=measured_bits(scores(champion)),
            problem="",
            train_ids=frozenset(),
            known_ids=frozenset(d.id for d in DOCUMENTS),
            removed=0,
            unread=champions,
        )
    return SimpleNamespace(
        champion_table=None if champion is None else scores(champion),
        unread_by_either=unread.by(champions) if unread else champions,
        validation=table,
        compared=table,
        baselines={5: scores(3.0 + SPREAD)},
        untouched=None if untouched is None else scores(untouched),
        unread=unread,
        champion=incumbent,
    )


def known(*, ids: frozenset[str] = LATER) -> Unread:
    return Unread(known_until=date(2024, 6, 30), ids=ids)


# Better than the untouched model on text that it may have read, and worse on later text.
FLATTERED = np.where([d.id in LATER for d in DOCUMENTS], 1.2, 0.5) + SPREAD


@pytest.mark.parametrize(
    ("unread", "outcome", "said"),
    [
        (known(), "FAIL", "Judged on the 25 held-out documents that are later than 2024-06-30"),
        (known(ids=frozenset()), "PASS", "may have read this text before: 0 of the 60 held-out"),
        (Unread(known_until=None, ids=frozenset()), "PASS", "is not stated (model.known_until)"),
    ],
)
def test_competence_on_text_that_the_base_cannot_have_read(
    unread: Unread, outcome: str, said: str
) -> None:
    found = competence_beside(
        evidence(FLATTERED, unread=unread, untouched=1.0 + SPREAD), GATES, True, RESAMPLING
    )
    assert found.outcome == outcome
    assert said in found.reason


def test_the_champion_is_met_on_the_same_text() -> None:
    flattered = evidence(FLATTERED, unread=known(), untouched=2.0, champion=1.0 + SPREAD)
    assert champion_beside(flattered, GATES, True, RESAMPLING).outcome == "FAIL"
    flattered = evidence(
        FLATTERED, unread=known(ids=frozenset()), untouched=2.0, champion=1.0 + SPREAD
    )
    found = champion_beside(flattered, GATES, True, RESAMPLING)
    assert found.outcome == "PASS"
    assert "may have read this text before" in found.reason


def test_what_the_champion_began_with_may_not_flatter_it_either() -> None:
    theirs = replace(known(), who=OF_CHAMPION)
    # The challenger began with random weights; the champion is better on what it may have read.
    plain = evidence(1.0 + SPREAD, unread=None, champion=FLATTERED, champions=theirs)
    found = champion_beside(plain, GATES, True, RESAMPLING)
    assert found.outcome == "PASS"
    assert "until when the model that the champion began with knows" in found.reason
    assert found.evidence["unread"]["judged_on_later"] is True
    alone = competence_beside(plain, GATES, True, RESAMPLING)
    assert "unread" not in alone.evidence
    shown = shown_beside(plain)
    assert len(shown["champion_bits_per_byte"]) == 60
    assert len(shown["champion_later_bits_per_byte"]) == 25
    both = evidence(
        1.0 + SPREAD,
        unread=known(),
        untouched=2.0,
        champion=FLATTERED,
        champions=Unread(known_until=None, ids=frozenset()),
    )
    found = champion_beside(both, GATES, True, RESAMPLING)
    assert found.evidence["unread"]["judged_on_later"] is False
    # Its own base is asked alone where the champion has no say.
    alone = competence_beside(both, GATES, True, RESAMPLING)
    assert alone.evidence["unread"]["judged_on_later"] is True


def test_random_weights_are_judged_on_everything_and_nothing_is_added() -> None:
    plain = evidence(1.0 + SPREAD, unread=None, champion=1.5 + SPREAD)
    for found in (
        competence_beside(plain, GATES, True, RESAMPLING),
        champion_beside(plain, GATES, True, RESAMPLING),
    ):
        assert found.outcome == "PASS"
        assert "read this text before" not in found.reason
        assert "Judged on" not in found.reason
        assert "unread" not in found.evidence
    assert shown_beside(plain) == {}


def test_a_first_version_has_no_caveat_to_its_skip() -> None:
    first = evidence(1.0 + SPREAD, unread=known(), untouched=2.0 + SPREAD)
    found = champion_beside(first, GATES, True, RESAMPLING)
    assert (found.outcome, "later" in found.reason) == ("SKIPPED", False)
    assert {name: len(table) for name, table in shown_beside(first).items()} == {
        "untouched_bits_per_byte": 60,
        "val_later_bits_per_byte": 25,
        "untouched_later_bits_per_byte": 25,
        "baseline_kn5_later_bits_per_byte": 25,
    }
    assert among(None, first.validation) is None
