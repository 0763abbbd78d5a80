from flows.registry.parameters import flatten


def test_flatten_keeps_empty_sections() -> None:
    assert flatten({"a": {}, "b": [], "c": True, "d": "text"}) == {
        "a": "{}",
        "b": "[]",
        "c": "true",
        "d": "text",
    }
