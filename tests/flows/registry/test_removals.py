import json
from pathlib import Path

import pytest

from flows.home.environment import Home, make_home
from flows.registry.connection import connect
from flows.registry.models import Registry
from flows.registry.removals import current_removals, record_removals
from lmcore.data.copies.removal import Removal, Removals, read_removals
from lmcore.data.copies.sketches import sketch_text
from lmcore.errors import IntegrityError

#: Its sketch does not fit into one tag.
LONG = " ".join(f"word{number}" for number in range(3000))


def removal(document: str, *, model: str | None = None, text: str | None = None) -> Removal:
    return Removal(
        document=document * 64,
        sketch=sketch_text(text, kept=4096) if text else None,
        reason="“asked” by its author",
        who="ada",
        at="2026-03-01T00:00:00+00:00",
        model=model,
    )


@pytest.fixture
def registry(home: Home) -> Registry:
    """With two models."""
    for name in ("stories", "tales"):
        connect(home).create_registered_model(name)
    return Registry(home)


def tags(registry: Registry, name: str) -> dict[str, str]:
    found = registry.model_tags(name)
    return {key: value for key, value in found.items() if key.startswith("lmcore.removal.")}


def test_a_removal_is_told_to_the_models_that_it_concerns(registry: Registry) -> None:
    everywhere, one = removal("a"), removal("b", model="tales")
    assert record_removals(registry, [everywhere, one]) == Removals.of([everywhere, one])
    assert len(tags(registry, "stories")) == 1
    assert len(tags(registry, "tales")) == 2
    [written] = tags(registry, "stories").values()
    assert Removal.from_json(json.loads(written)) == everywhere
    before = tags(registry, "tales")
    assert record_removals(registry, [one]) == current_removals(registry)
    assert tags(registry, "tales") == before


def test_a_home_that_lost_its_list_learns_it_from_the_registry(registry: Registry) -> None:
    expected = record_removals(registry, [removal("a"), removal("b", text=LONG)])
    assert len(tags(registry, "tales")) > 2
    registry.home.removals.unlink()
    assert current_removals(registry).digest == expected.digest
    assert read_removals(registry.home.removals).digest == expected.digest


def test_a_model_that_came_later_learns_what_the_home_knows(home: Home) -> None:
    registry = Registry(home)
    expected = record_removals(registry, [removal("a"), removal("b", model="tales")])
    assert expected == Removals.of([removal("a"), removal("b", model="tales")])
    connect(home).create_registered_model("stories")
    assert current_removals(registry) == expected
    assert len(tags(registry, "stories")) == 1


def test_homes_that_share_a_registry_share_what_must_be_forgotten(
    registry: Registry, tmp_path: Path
) -> None:
    record_removals(registry, [removal("a")])
    store = {"MLFLOW_TRACKING_URI": registry.home.tracking_uri}
    other = Registry(make_home(tmp_path / "other", environ=store))
    assert record_removals(other, [removal("b")]) == Removals.of([removal("a"), removal("b")])
    assert current_removals(registry) == read_removals(other.home.removals)


def test_half_a_removal_is_completed_by_the_home_that_has_it(registry: Registry) -> None:
    expected = record_removals(registry, [removal("b", text=LONG)])
    before = tags(registry, "stories")
    last = max(before)
    connect(registry.home).delete_registered_model_tag("stories", last)
    assert current_removals(registry).digest == expected.digest
    assert tags(registry, "stories") == before


@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_a_tag_that_is_no_removal_stops_everything(registry: Registry, text: str) -> None:
    record_removals(registry, [removal("a")])
    [key] = tags(registry, "stories")
    registry.add_model_tag("stories", key, text)
    with pytest.raises(IntegrityError, match=r"model stories: .* is no removal .*nothing is"):
        current_removals(registry)


def test_a_tag_that_speaks_of_another_document_stops_everything(registry: Registry) -> None:
    record_removals(registry, [removal("a")])
    [key] = tags(registry, "stories")
    registry.add_model_tag("stories", key, json.dumps(removal("c").to_json()))
    with pytest.raises(IntegrityError, match="was changed; nothing is trained"):
        current_removals(registry)
