from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flows.registry.versions import Version
from flows.retention.reasons import WAITING, is_needed, lineage_keys, reasons_to_keep


def version(number: int, **changes: Any) -> Version:
    values: dict[str, Any] = {
        "model": "speeches",
        "number": number,
        "outcome": "promoted",
        "passed": True,
        "verdict": "",
        "run_key": "",
        "run_id": None,
        "aliases": (),
        "weights_sha256": f"w{number}",
        "manifest_sha256": "",
        "quarantined": None,
        "flow_run_id": None,
        "created": datetime(2026, 1, 1, tzinfo=UTC),
        "source": "",
        "tags": {},
    }
    return Version(**{**values, **changes})


def test_every_reason_by_hand() -> None:
    reasons = reasons_to_keep(
        [version(number) for number in range(1, 9)],
        keep=2,
        aliases={"champion": 5, "previous": 4, "mine": 1},
        rollback_to=4,
        starts={5: "w3", 3: "w2", 8: "w5"},
        bases={6: "version 1 of reviews"},
    )
    assert reasons == {
        1: ["mine"],
        3: ["version 5 went on from it"],
        4: ["previous", "a rollback would go to it"],
        5: ["champion", "version 8 went on from it"],
        6: ["version 1 of reviews was fine-tuned from it"],
        7: ["one of the 2 newest"],
        8: ["one of the 2 newest"],
    }


def test_an_alias_of_a_version_that_is_gone_keeps_nothing() -> None:
    reasons = reasons_to_keep(
        [version(2)], keep=1, aliases={"champion": 1}, rollback_to=None, starts={}
    )
    assert reasons == {2: ["the newest"]}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_what_is_in_use_is_always_kept(data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(1, 30), min_size=1, unique=True))
    pick = st.sampled_from(numbers)
    aliases = data.draw(
        st.dictionaries(st.sampled_from(["champion", "previous", "challenger", "mine"]), pick)
    )
    rollback_to = data.draw(st.none() | pick)
    starts = data.draw(st.dictionaries(pick, pick.map(lambda number: f"w{number}")))
    keep = data.draw(st.integers(1, 5))
    versions = [version(number) for number in numbers]
    kept = reasons_to_keep(
        versions, keep=keep, aliases=aliases, rollback_to=rollback_to, starts=starts
    )
    assert set(aliases.values()) <= set(kept)
    assert rollback_to is None or rollback_to in kept
    assert set(sorted(numbers)[-keep:]) <= set(kept)
    assert set(kept) <= set(numbers)
    more = reasons_to_keep(
        versions, keep=keep + 1, aliases=aliases, rollback_to=rollback_to, starts=starts
    )
    assert set(kept) <= set(more)


def test_content_is_needed_by_name_and_caches_by_what_they_were_made_of() -> None:
    wanted = lineage_keys({"documents": "d", "shards": "s", "checkpoint": None, "model": "m"})
    assert wanted == {"d", "s"}
    assert is_needed("documents", "d", {}, wanted=wanted)
    assert not is_needed("documents", "part", {"of": "d"}, wanted=wanted)
    assert is_needed("baseline", "b", {"made": [{"of": "d"}]}, wanted=wanted)
    assert not is_needed("baseline", "b", {"documents": "other"}, wanted=wanted)
    for kind in WAITING:  # the step that it waited for is done
        assert not is_needed(kind, "w", {"documents": "d"}, wanted=wanted)


def test_a_base_is_named_by_its_key_and_its_tokenizer_by_itself() -> None:
    lineage = {"documents": "d", "tokenizer": "t", "pretrained": {"key": "b", "weights": "w"}}
    wanted = lineage_keys(lineage)
    assert wanted == {"d", "t", "b"}
    assert is_needed("pretrained", "b", {}, wanted=wanted)
    assert not is_needed("pretrained", "w", {"license": "d"}, wanted=wanted)
    assert lineage_keys({"pretrained": None}) == set()
