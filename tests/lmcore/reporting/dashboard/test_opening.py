"""What is said first: the version in use, its result, the last run, and what all of it cost."""

from datetime import UTC, datetime

import pytest

from lmcore.reporting.dashboard import opening
from lmcore.reporting.dashboard.facts import EventEntry, ModelHistory, PipelineData, VersionEntry

MARCH = datetime(2026, 3, 4, 14, 5, tzinfo=UTC)


def version(number, outcome="promoted", **facts):
    return VersionEntry(number=number, created=MARCH, outcome=outcome, **facts)


def moved(action, number, who="ines"):
    return EventEntry(at=MARCH, action=action, from_version=None, to_version=number, who=who)


def page(price=None):
    return PipelineData(created=MARCH, price_per_hour=price)


def shown(history, price=None):
    return {t.label: (t.value, t.note) for t in opening.tiles(history, page(price))}


CHAMPION = version(
    2,
    aliases=("champion",),
    metrics={"val_bits_per_byte": {"value": 1.5, "lower": 1.4, "upper": 1.6, "unit": "bits/byte"}},
    seconds={"total": 120.0},
    core_seconds=200.0,
)


@pytest.mark.parametrize(
    ("versions", "events", "text"),
    [
        ((), (), "No version is registered yet."),
        ((version(1, "rejected"),), (), "No version is in use: none has passed its gates"),
        ((CHAMPION,), (), "Version 2 is in use."),
        ((CHAMPION,), (moved("promote", 1),), "Version 2 is in use."),
        ((CHAMPION,), (moved("reject", 2),), "Version 2 is in use."),
        (
            (CHAMPION,),
            (moved("promote", 2, "pipeline"), moved("promote", 3), moved("rollback", 2)),
            "Version 2 is in use since 2026-03-04 14:05, rolled back to by ines.",
        ),
        (
            (CHAMPION,),
            (moved("override", 2),),
            "promoted by override although it failed its gates by ines.",
        ),
    ],
)
def test_the_sentence_says_which_version_since_when_and_by_whom(versions, events, text):
    found = opening.sentence(ModelHistory(model="m", versions=versions, events=events))
    assert text in found
    assert found.endswith(".")


def test_tiles_of_a_model_in_use():
    history = ModelHistory(
        model="m",
        versions=[version(1, seconds={"total": 60.0}), CHAMPION, version(3, "rejected")],
        last_run={"outcome": "skipped", "at": MARCH},
        schedule="0 3 * * 1 (UTC)",
    )
    assert shown(history) == {
        "Champion": ("version 2", "trained 2026-03-04 14:05"),
        "Held-out text": ("1.50", "bits/byte · 1.40 to 1.60"),
        "Versions": ("3", "2 promoted, 1 rejected"),
        "Last run": ("skipped", "2026-03-04 14:05"),
        "Schedule": ("0 3 * * 1 (UTC)", ""),
        "Newest timed version took": ("2 min 0 s", "median 2 min 0 s"),
    }
    assert shown(history, price=3.0)["Newest timed version took"][1].endswith("· cost 0.10")
    newest = ModelHistory(model="m", versions=[CHAMPION])
    assert shown(newest)["Newest version took"][0] == "2 min 0 s"


def test_tiles_of_a_model_without_anything():
    assert shown(ModelHistory(model="m")) == {
        "Champion": ("none", ""),
        "Versions": ("0", "0 promoted, 0 rejected"),
        "Last run": ("–", ""),
        "Schedule": ("none", "runs when somebody starts it"),
    }


def test_the_overview_has_the_same_in_a_row():
    history = ModelHistory(
        model="m", versions=[CHAMPION], last_run={"outcome": "promoted", "at": None}
    )
    assert opening.overview(history) == (
        *("version 2", "1.50 bits/byte", "1", "promoted, –", "none"),
    )
    assert opening.overview(ModelHistory(model="m")) == ("none", "–", "0", "–", "none")


def test_the_result_is_the_metric_that_decides():
    metrics = {"accuracy": {"value": 0.8, "unit": "share"}, "macro_f1": {"value": 0.7}}
    champion = version(1, aliases=("champion",), metrics=metrics)
    history = ModelHistory(model="m", deciding="accuracy", versions=[champion])
    assert shown(history)["Accuracy"] == ("80 %", "")
    assert "Macro F1" not in shown(history)
    assert opening.overview(history)[1] == "80 %"
    assert "Accuracy" not in shown(ModelHistory(model="m", deciding="bleu", versions=[champion]))


def test_what_all_versions_cost_by_hand():
    versions = [CHAMPION, version(3, seconds={"total": 3480.0}), version(4, seconds={"train": 9.0})]
    assert opening.cost_sentence(versions, page()) == (
        "2 runs took 1 h 0 min together; processors worked 3 min 20 s in 1 of them."
    )
    # One hour in all.
    assert opening.cost_sentence(versions, page(2.5)).endswith(". At 2.50 an hour they cost 2.50.")
    assert opening.cost_sentence([version(4, seconds={"train": 9.0})], page(2.5)) == ""
