"""The summary and the account of a document set, whatever shape they have."""

import pytest

from lmcore.reporting.tables import MAX_ROWS
from lmcore.reporting.version.facts.data import SPLITS, Account, Documents, Rule, Source, Volume


def test_volumes_of_the_splits_stand_side_by_side_in_the_summary():
    found = Documents(
        documents=9, bytes=90, train_documents=7, train_bytes=70, tune_documents="x", unit=3
    )
    assert (found.documents, found.num_bytes, found.unit) == (9, 90, "")
    assert set(found.splits) == set(SPLITS)
    assert found.splits["train"] == Volume(documents=7, bytes=70)
    assert found.splits["tune"] == found.splits["validation"] == Volume()


def test_licences_and_blocked_ones_are_names_and_bytes():
    found = Documents(licenses={"MIT": 3, "bad": -1, "text": "7"}, blocked_licenses=["unknown", 4])
    assert found.licenses == {"MIT": 3.0}
    assert found.blocked == ("unknown", "")
    assert Documents(licenses=["MIT"], blocked_licenses="MIT") == Documents()


def test_an_account_of_another_shape_is_still_shown():
    account = Account(
        rules={"too_short": {"documents": 3, "action": "dropped"}, "binary": 2},
        **{"pii": {"email": 1}, "quarantine": [{"reason": "broken", "documents": 1}]},
        **{"kept": 7, "nothing": [], "empty": {}},
    )
    assert account.values == (("Kept", "7"),)
    assert [(t.caption, t.rows) for t in account.tables] == [
        ("Personal data masked", (("email", "1"),)),
        ("Quarantine", (("broken", "1"),)),
    ]
    assert [(r.name, r.action, r.documents) for r in account.rules] == [
        ("too_short", "dropped", 3),
        ("binary", "", 2),
    ]


def test_rules_are_a_list_or_go_by_name():
    listed = Account(rules=[{"rule": "a", "documents": 2}, {"documents": 1}])
    assert [(r.name, r.documents) for r in listed.rules] == [("a", 2), ("rule", 1)]
    assert Account(rules=3).rules == Account(rules=None).rules == Account().rules == ()


@pytest.mark.parametrize(
    ("counts", "idle"),
    [
        ({"documents": 0, "bytes": 0}, True),
        ({"documents": 0, "changed": 3}, False),
        # A rule that says no number may have done anything.
        ({}, False),
        ({"documents": "0"}, False),
    ],
)
def test_a_rule_is_idle_where_all_its_counts_are_zero(counts, idle):
    assert Rule(rule="r", **counts).idle is idle


def test_a_list_of_mappings_is_a_table_of_their_first_columns():
    rows = [{"a_b": 1, "c": None}, {"d": True}, "no row"]
    (table,) = Account(near_copies=rows).tables
    assert (table.caption, table.header) == ("Near copies", ("A b", "C", "D"))
    assert table.rows == (("1", "–", "–"), ("–", "–", "yes"))
    wide = [{f"k{i}": i for i in range(9)}]
    assert len(Account(wide=wide).tables[0].header) == 6
    long = [{"a": i} for i in range(MAX_ROWS + 2)]
    assert Account(long=long).tables[0].note == "2 more rows are not shown."


def test_a_source_without_a_licence_is_of_unknown_licence():
    assert [Source(**raw).license for raw in ({}, {"license": ""}, {"license": 3})] == [
        "unknown"
    ] * 3
    assert Source(license="MIT", documents=2, bytes=9).num_bytes == 9
