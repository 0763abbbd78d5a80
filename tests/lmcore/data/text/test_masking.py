"""One masking for documents, files that are scored and inputs that are answered."""

from pathlib import Path

import pytest

from lmcore.data.config import DataConfig
from lmcore.data.text.masking import DocumentMasking, masking_settings
from lmcore.data.text.privacy import Masking
from lmcore.errors import ConfigError

TEXT = "Ann writes to ann@example.org, 22 83 12 34."


class _Names:
    def find(self, text: str) -> list[tuple[int, int]]:
        return [(text.index("Ann"), text.index("Ann") + 3)] if "Ann" in text else []


def test_patterns_and_names_are_masked_together() -> None:
    masking = DocumentMasking(Masking(), names=_Names())
    found = masking.find(TEXT)
    assert found.text == masking.apply(TEXT) == "<NAME> writes to <EMAIL>, 22 83 12 34."
    assert found.counts == {"EMAIL": 1, "NAME": 1}
    assert {span.text for span in found.spans} == {"Ann", "ann@example.org"}
    assert masking.apply(found.text) == found.text


def test_a_pipeline_that_keeps_finds_and_changes_nothing() -> None:
    masking = DocumentMasking.of(DataConfig(pii="keep"))
    assert masking.apply(TEXT) == TEXT
    assert masking.find(TEXT).counts == {"EMAIL": 1}


def test_named_regions_are_those_of_the_configuration() -> None:
    masking = DocumentMasking.of(DataConfig(phone_regions=["no"]))
    assert masking.apply(TEXT) == "Ann writes to <EMAIL>, <PHONE>."


def test_a_model_of_names_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.names"):
        DocumentMasking.of(DataConfig(names=str(tmp_path / "gone")))


def test_the_settings_of_another_release_are_read() -> None:
    raw = {"pii": "keep", "unit": "stanza", "a_key_of_tomorrow": 1}
    assert masking_settings(raw) == DataConfig(pii="keep")
    assert masking_settings({}) == DataConfig()
    with pytest.raises(ValueError, match="expected"):
        masking_settings({"phone_regions": ["ZZ"]})
