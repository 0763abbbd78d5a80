"""What is told of a pretrained model, and of the text that it has read before."""

from types import SimpleNamespace
from typing import Any

from flows.commands.shared.unrecorded import described, pretrained_facts, unrecorded

NAMED = {
    "name": "small",
    "key": "k",
    "weights": "w" * 64,
    "license": "MIT",
    "origin": "",
    "source": "models/small",
    "known_until": None,
}


def version(number: int, model: str = "speeches") -> Any:
    return SimpleNamespace(model=model, number=number)


def registry(designation: str | None) -> Any:
    known = SimpleNamespace(designation=designation) if designation else None
    return SimpleNamespace(bases=SimpleNamespace(find=lambda key: known))


def test_versions_of_one_model_and_base_are_one_row() -> None:
    other = {**NAMED, "key": "other", "known_until": "2024-12-31"}
    rows = unrecorded(
        [
            (version(1), {}),
            (version(2), {"pretrained": NAMED}),
            (version(3), {"pretrained": other}),
            (version(4), {"pretrained": NAMED}),
            (version(1, "reviews"), {"pretrained": NAMED}),
            (version(2, "reviews"), {"pretrained": None}),
        ]
    )
    assert [(row["model"], row["versions"], row["key"]) for row in rows] == [
        ("speeches", [2, 4], "k"),
        ("speeches", [3], "other"),
        ("reviews", [1], "k"),
    ]
    assert rows[0]["sentence"].startswith("speeches versions 2, 4: the base model small was")
    assert rows[0]["sentence"].endswith("until when its text goes is not known")
    assert rows[1]["sentence"].endswith("it has read text until 2024-12-31")


def test_where_it_is_registered_is_told() -> None:
    found = pretrained_facts(registry("base-small version 3"), version(1), {"pretrained": NAMED})
    assert found is not None
    assert "licence MIT (base-small version 3)" in described(found)[0]
    lost = pretrained_facts(registry(None), version(1), {"pretrained": NAMED})
    assert lost is not None
    assert lost["registered"] is None
    assert "(not in the registry)" in described(lost)[0]
    assert len(described(lost)) == 3  # nothing is said of an origin that is not known
    assert pretrained_facts(registry(None), version(1), {}) is None
