"""What is known of a base, as tags and in words."""

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from flows.registry.records import ModelRecord
from flows.registry.registered_base import (
    base_tags,
    describe_base,
    description,
    model_name,
    version_tags,
)
from lmcore.model.pretrained.base import Base, BaseRecord


def record(**changes: Any) -> BaseRecord:
    values: dict[str, Any] = {
        "source": "models/small",
        "name": "small",
        "architecture": "LlamaForCausalLM",
        "parameters": 1234,
        "vocab_size": 300,
        "end_token": "</s>",
        "end_id": 2,
        "most_tokens": 64,
        "files": {"model.safetensors": "f" * 64},
        "weights_sha256": "w" * 64,
    }
    return BaseRecord(**{**values, **changes})


@pytest.mark.parametrize(
    ("name", "registered"),
    [
        ("small", "base-small"),
        ("SmolLM2 135M/Q4_1.gguf", "base-SmolLM2-135M-Q4_1.gguf"),
        ("../..", "base-model"),
        ("模型", "base-model"),
        ("x" * 500, "base-" + "x" * 60),
    ],
)
def test_any_name_gives_one_that_the_registry_can_hold(name: str, registered: str) -> None:
    assert model_name(record(name=name)) == registered


def test_tags_say_what_it_is_and_are_read_again(tmp_path: Any) -> None:
    facts = record(license="Apache-2.0", known_until=date(2024, 12, 31), origin="a\0 \ud800 test")
    base = Base(key="k" * 64, path=tmp_path)
    tags = base_tags(base, facts, "m" * 64)
    assert (tags["kind"], tags["license"], tags["known_until"]) == (
        *("base", "Apache-2.0", "2024-12-31"),
    )
    tags["origin"].encode()  # every store takes it
    answered = SimpleNamespace(
        name="base-small", version="3", tags=tags, source="models:/m-1", creation_timestamp=5
    )
    found = describe_base(answered)
    assert (found.key, found.weights_sha256, found.manifest_sha256) == (
        *("k" * 64, "w" * 64, "m" * 64),
    )
    assert found.designation == "base-small version 3"
    assert version_tags(found)["pretrained_key"] == found.key
    assert "license" not in base_tags(base, record(license=""), "m")  # an empty tag says nothing


def test_only_what_is_marked_so_is_a_base() -> None:
    for tags, expected in (({"kind": "base"}, True), ({"kind": "else"}, False), ({}, False)):
        assert ModelRecord(name="m", tags=tags, aliases={}).is_base is expected


def test_the_description_has_licence_day_and_the_beginning_of_the_card() -> None:
    text = description(record(license="MIT", known_until=date(2024, 1, 2), card="# Card\n" * 9999))
    assert "licence MIT" in text
    assert "2024-01-02" in text
    assert "# Card" in text
    assert len(text) < 5000  # what the store of a server takes
    assert "an unknown day" in description(record())
