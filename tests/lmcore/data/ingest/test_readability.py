"""The share that may be set aside, of records and of files, and the sentence that stops a run."""

import pytest

from lmcore.data.ingest.readability import Readability
from lmcore.data.sources.records import BadInput


def _read(good: int, bad: int, *, position: int = 1) -> Readability:
    found = Readability()
    for number in range(good):
        found.record(f"good{number}")
    for number in range(bad):
        found.record(f"bad{number}")
        reason = "1 cells where the header has 2; and more"
        found.quarantine(BadInput(file=f"bad{number}", position=position, reason=reason))
    return found


@pytest.mark.parametrize(("good", "bad", "stops"), [(99, 1, False), (98, 2, True), (0, 1, True)])
def test_one_of_a_hundred_may_be_set_aside_and_no_more(good: int, bad: int, stops: bool) -> None:
    refusal = _read(good, bad).refusal(place="sources[0] (t.csv)", limit=0.01)
    assert (refusal != "") == stops


def test_the_sentence_says_how_many_why_where_and_what_to_do() -> None:
    refusal = _read(12, 765).refusal(place="sources[0] (t.csv)", limit=0.01)
    assert refusal.startswith("sources[0] (t.csv): 765 of 777 records cannot be read, more than")
    for words in ("max_quarantine_share=0.01", "1 cells where", "765 times", "bad0:1", "--dry-run"):
        assert words in refusal


def test_whole_files_count_beside_records() -> None:
    found = Readability()
    for number in range(1_000):
        found.record("book" if number < 999 else "other")
    found.quarantine(BadInput(file="other", position=0, reason="a binary file, not text"))
    assert "1 of 2 files cannot be read" in found.refusal(place="x", limit=0.01)
    assert found.refusal(place="x", limit=0.5) == ""


def test_all_or_nothing_may_be_allowed() -> None:
    assert _read(0, 5, position=0).refusal(place="x", limit=1.0) == ""
    assert _read(5, 0).refusal(place="x", limit=0.0) == ""
    assert _read(1_000_000, 1).refusal(place="x", limit=0.0) != ""
