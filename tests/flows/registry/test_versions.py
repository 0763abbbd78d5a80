import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.registry.versions import (
    COST_TAG,
    DATA_TAG,
    GATES_TAG,
    Version,
    check_name,
    clean,
    describe,
    fact_tags,
    to_tag,
)
from lmcore.errors import UserError


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "..", "a b", "é", "x" * 101, "-a", "a'or'"])
def test_names_that_no_registry_holds_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="expected 1 to 100 letters"):
        check_name(name)


def test_many_licences_and_long_reasons_stay_small() -> None:
    licenses = {f"L{i}": i for i in range(500)}
    tags = fact_tags([{"gate": "g", "reason": "x" * 10_000}], {"licenses": licenses})
    data = json.loads(tags["data"])
    assert len(data["licenses"]) == 51
    assert sum(data["licenses"].values()) == sum(licenses.values())
    assert len(tags["gates"]) < 800


def described(tags: dict[str, str], **changes: Any) -> Version:
    values = {"version": "2", "name": "stories", "run_id": "", "source": "models:/m"}
    raw = SimpleNamespace(**{**values, "creation_timestamp": 1500, **changes}, tags=tags)
    return describe(raw, {1: ["previous"], 2: ["champion", "challenger"]})


def test_a_version_without_tags_is_of_unknown_outcome_and_did_not_pass() -> None:
    version = described({})
    assert (version.number, version.outcome, version.passed) == (2, "unknown", False)
    assert version.aliases == ("challenger", "champion")
    assert (version.run_id, version.flow_run_id, version.quarantined) == (None, None, None)
    assert version.task == "language_modelling"
    assert version.created == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert (version.gates(), version.data(), version.cost()) == ([], {}, {})


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "null", '"text"'])
def test_what_somebody_edited_is_shown_as_unknown(text: str) -> None:
    names = ("metrics", "fingerprints", GATES_TAG, DATA_TAG, COST_TAG)
    version = described(dict.fromkeys(names, text))
    assert (version.metrics, version.fingerprints) == ({}, {})
    assert (version.gates(), version.data(), version.cost()) == ([], {}, {})
    assert described({GATES_TAG: '{"gates": 3}'}).gates() == []


def test_only_the_word_true_is_a_pass() -> None:
    assert described({"passed": "true"}).passed
    assert not any(described({"passed": word}).passed for word in ("True", "1", "yes", ""))


def test_facts_about_gates_and_text_are_read_again_without_evidence() -> None:
    gate = {"gate": "pii", "required": False, "outcome": "WARN", "reason": "ten", "value": 10.0}
    documents = {"documents": 2, "bytes": 30, "licenses": {"MIT": 10, "CC0-1.0": 20}, "other": 1}
    version = described(fact_tags([{**gate, "evidence": ["a@b.c"]}], documents))
    [said] = version.gates()
    assert said == {**gate, "lower": None, "upper": None, "limit": None, "unit": None}
    assert version.data() == {
        "documents": 2,
        "bytes": 30,
        "licenses": {"MIT": 10, "CC0-1.0": 20},
    }


@given(st.text(st.characters(), max_size=30), st.integers(4, 40))
def test_clean_text_is_taken_by_every_store(text: str, limit: int) -> None:
    found = clean(text, limit=limit)
    found.encode()
    assert "\0" not in found
    assert len(found) <= limit
    assert clean(found, limit=limit) == found
    if len(text) <= limit and "\0" not in text and text.isprintable():
        assert found == text


def test_a_text_that_is_cut_says_so() -> None:
    assert clean("x" * 10, limit=10) == "x" * 10
    assert clean("x" * 11, limit=10) == "xxxxxxx..."


def test_what_is_no_number_is_never_written_as_a_tag() -> None:
    assert to_tag({"b": 1, "a": None}) == '{"a":null,"b":1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_tag({"value": float("inf")})
