"""Classes by their names, where a data set stores numbers."""

import json

import pytest

from lmcore.data.sources.class_names import class_name, class_names, class_names_in

NAMES = ["bad", "good"]
CLASSES = {"names": NAMES, "_type": "ClassLabel"}


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"y": CLASSES}, NAMES),
        ({"y": {"feature": CLASSES, "_type": "List"}}, NAMES),
        ({"y": {"dtype": "int64", "_type": "Value"}}, None),
        ({"y": {"names": NAMES, "_type": "Other"}}, None),
        ({"x": CLASSES}, None),
        ({"y": None}, None),
        ({}, None),
        (None, None),
        ("y", None),
    ],
)
def test_names_are_found_in_features(features: object, expected: list[str] | None) -> None:
    assert class_names(features, "y") == expected
    assert class_names(features, None) is None


def test_names_are_found_in_what_the_library_writes_into_files() -> None:
    written = json.dumps({"info": {"features": {"y": CLASSES}}}).encode()
    assert class_names_in({b"huggingface": written}, "y") == NAMES


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"7", b'{"info": 1}', b'{"info": {}}', b"\xff"])
def test_metadata_of_another_kind_names_nothing(raw: bytes) -> None:
    assert class_names_in({b"huggingface": raw}, "y") is None
    assert class_names_in(None, "y") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "bad"),
        (1, "good"),
        ("1", "good"),
        ("good", "good"),
        ("fine", "fine"),
        ("", ""),
        ([0, 1], ["bad", "good"]),
        (None, None),
        (True, True),
    ],
)
def test_a_value_becomes_the_name_of_its_class(value: object, expected: object) -> None:
    assert class_name(value, NAMES, column="y") == expected


def test_a_name_that_looks_like_a_number_wins_in_a_text() -> None:
    assert class_name("1", ["1", "0"], column="y") == "1"
    assert class_name(1, ["1", "0"], column="y") == "0"


@pytest.mark.parametrize("value", [-1, "-1", 2, "2", -7, [0, -1]])
def test_a_number_without_a_class_is_a_reason(value: object) -> None:
    with pytest.raises(ValueError, match=r"'y' is -?[127]"):
        class_name(value, NAMES, column="y")
