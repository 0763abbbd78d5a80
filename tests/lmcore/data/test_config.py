"""Sections about text: what contradicts itself is refused with the values that do."""

from typing import Any

import pytest
from pydantic import ValidationError

from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig, TokenizerConfig


@pytest.mark.parametrize("place", ["path", "package", "dataset"])
def test_a_source_is_in_exactly_one_place(place: str) -> None:
    assert getattr(SourceConfig(**{place: "a"}), place) == "a"
    for other in {"path", "package", "dataset"} - {place}:
        with pytest.raises(ValidationError, match=r"found (\w+) and (\w+)"):
            SourceConfig(**{place: "a", other: "b"})
    with pytest.raises(ValidationError, match="of path, package, dataset, requests; found none"):
        SourceConfig(**{place: ""})


@pytest.mark.parametrize(
    "settings",
    [{"format": "parallel"}, {"target_path": "b"}, {"format": "text", "target_path": ""}],
)
def test_parallel_text_and_a_second_file_need_each_other(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="format parallel needs target_path"):
        SourceConfig(path="a", **settings)


def test_two_files_of_parallel_text_are_a_source() -> None:
    assert SourceConfig(path="a", target_path="b", format="parallel").target_path == "b"


@pytest.mark.parametrize(
    ("validation", "tune", "total"), [(0.5, 0.31, "0.81"), (0.8, 0.1, "0.9"), (0.99, 0.03, "1.02")]
)
def test_something_is_left_to_train_on(validation: float, tune: float, total: str) -> None:
    with pytest.raises(ValidationError, match=f"tune_fraction = {total} leaves too little"):
        DataConfig(validation_fraction=validation, tune_fraction=tune)


def test_the_most_that_may_be_held_out() -> None:
    data = DataConfig(validation_fraction=0.5, tune_fraction=0.3)
    assert data.validation_fraction + data.tune_fraction == 0.8


@pytest.mark.parametrize("key", ["validation_fraction", "near_duplicate_similarity"])
@pytest.mark.parametrize("value", [0, 1, -0.1, float("nan")])
def test_a_share_is_above_none_and_below_all(key: str, value: float) -> None:
    with pytest.raises(ValidationError, match=key):
        DataConfig(**{key: value})


def test_a_byte_pair_vocabulary_holds_the_bytes_a_pair_and_the_end() -> None:
    assert TokenizerConfig(kind="bpe", vocab_size=258).vocab_size == 258
    with pytest.raises(ValidationError, match="vocab_size 257 cannot hold the 256 bytes"):
        TokenizerConfig(kind="bpe", vocab_size=257)
    # The others take their bytes beside the bound.
    assert TokenizerConfig(kind="word", vocab_size=2).vocab_size == 2


def test_a_licence_is_not_allowed_and_denied_at_once_and_something_is_allowed() -> None:
    with pytest.raises(ValueError, match="mit is in allow and in deny"):
        PolicyConfig(allow=["MIT"], deny=["mit"])
    with pytest.raises(ValueError, match="every licence is blocked"):
        PolicyConfig(allow=[])


def test_languages_are_codes_that_can_be_told() -> None:
    assert DataConfig(languages=["en", "nb", "zh"]).languages == ["en", "nb", "zh"]
    with pytest.raises(ValidationError, match="'english' is no language that can be told"):
        DataConfig(languages=["de", "english"])
    with pytest.raises(ValidationError, match="at least 1 item"):
        DataConfig(languages=[])


def test_regions_are_those_with_a_numbering_plan() -> None:
    assert DataConfig(phone_regions=["fr", "DE", "de"]).phone_regions == ["DE", "FR"]
    # YAML reads a bare NO as false.
    read = DataConfig.model_validate({"phone_regions": [False, "SE"]})
    assert read.phone_regions == ["NO", "SE"]
    with pytest.raises(ValidationError, match="'XX' is no region with a numbering plan"):
        DataConfig(phone_regions=["XX"])
    with pytest.raises(ValidationError):
        DataConfig(phone_regions=[])
