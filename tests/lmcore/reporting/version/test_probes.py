"""Published probes are shown with what is wrong with them."""

import pytest

from lmcore.reporting.version.facts.bias import BiasEvidence
from lmcore.reporting.version.probes import probe_tables

SHARE = {"pairs": 262, "ties": 2, "share": 0.55, "lower": 0.5, "upper": 0.6}
TEST = {"name": "Math and Arts", "d": 0.8, "p": 0.012, "exact": True, "words": 32}


def tables(**probes):
    return probe_tables(BiasEvidence(probes=probes))


def test_probes_are_shown_with_their_flaws():
    crows, weat = tables(
        crows_pairs={"all": SHARE, "kinds": {"gender": SHARE}, "flaws": ["Pairs are flawed."]},
        weat={"tests": [TEST], "flaws": ["Few words."]},
    )
    assert [row[0] for row in crows.rows] == ["all", "gender"]
    assert crows.rows[1] == ("gender", "55 %", "50 % to 60 %", "262")
    assert crows.note == "Reported, never judged. Pairs are flawed."
    assert weat.rows[0] == ("Math and Arts", "0.80", "0.012", "exact")
    assert weat.note == "Reported, never judged. Few words."


def test_a_probe_that_was_not_run_says_why():
    (only,) = tables(weat={"problem": "no such file"})
    assert only.rows[0][:2] == ("not run", "no such file")
    assert len(only.rows[0]) == len(only.header)
    # Nothing was measured, so nothing is said of its flaws.
    assert only.note == ""


def test_what_is_not_known_is_empty_and_p_is_exact_or_of_random_deals():
    crows, weat = tables(
        crows_pairs={"kinds": {"age": {"share": 0.5, "lower": 0.4}, "race": {}}},
        weat={"tests": [{**TEST, "exact": False, "d": None}]},
    )
    assert crows.rows == (("age", "50 %", "", "–"), ("race", "", "", "–"))
    assert weat.rows == (("Math and Arts", "–", "0.012", "random deals"),)


@pytest.mark.parametrize("raw", [{}, {"crows_pairs": None}, {"weat": 3}, {"honest": {"tests": []}}])
def test_without_a_probe_there_is_no_table(raw):
    assert tables(**raw) == ()
    assert probe_tables(BiasEvidence()) == ()
