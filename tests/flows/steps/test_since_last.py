from typing import Any

from flows.steps.since_last import (
    config_changes,
    last_readable,
    next_number,
    sample_pairs,
    since_last,
)


def test_keys_that_differ_are_named_with_both_values() -> None:
    before = "training: {max_steps: 40, seed: 0}\nname: tales\n"
    now = "training: {max_steps: 60, seed: 0}\nname: tales\nmodel: {dropout: 0.1}\n"
    assert config_changes(before, now) == [
        ["model.dropout", "", "0.1"],
        ["training.max_steps", "40", "60"],
    ]
    assert config_changes(now, now) == []


def test_texts_are_paired_by_what_was_asked() -> None:
    old = [{"prompt": "A", "seed": 1, "text": "x"}, {"prompt": "B", "seed": 1, "text": "y"}, 3]
    new = [{"prompt": "C", "seed": 1, "text": "no"}, {"prompt": "B", "seed": 2, "text": "z"}]
    assert sample_pairs(old, new) == [{"prompt": "B", "before": "y", "now": "z"}]


def test_the_first_version_has_number_one_and_nothing_before_it(registry: Any) -> None:
    assert next_number(registry, "speeches") == 1
    assert last_readable(registry, "speeches") is None
    found = since_last(
        None,
        documents={},
        ids=frozenset(),
        config_yaml="",
        code="",
        metrics={},
        samples=[],
    )
    assert found == {}


def test_the_next_version_is_numbered_and_compared_with_the_last(
    registry: Any, register: Any
) -> None:
    version = register()
    folder = registry.read(version)
    assert next_number(registry, "speeches") == 2
    ids = frozenset({str(row["id"]) for row in folder.documents()} | {"new"})
    last = last_readable(registry, "speeches")
    found = since_last(
        last,
        documents={"documents": len(ids)},
        ids=ids,
        config_yaml=folder.config,
        code="another",
        metrics={},
        samples=[],
    )
    assert (found["version"], found["added"], found["removed"]) == (1, 1, 0)
    assert found["code_changed"] is True
    assert found["config"] == []
