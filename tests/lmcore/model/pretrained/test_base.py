"""What is known of a model that is gone on from is read whole or refused."""

import json
from pathlib import Path

import pytest

from lmcore.errors import IntegrityError
from lmcore.model.pretrained.base import BASE_FILE, BaseRecord, read_record, reference_of

RECORD = BaseRecord(
    source="models/small",
    name="small",
    architecture="LlamaForCausalLM",
    parameters=12,
    vocab_size=300,
    end_token="<end>",
    end_id=0,
    most_tokens=64,
    files={"model.safetensors": "0" * 64},
    weights_sha256="0" * 64,
)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / BASE_FILE).write_text(RECORD.model_dump_json(), encoding="utf-8")
    assert read_record(tmp_path) == RECORD


@pytest.mark.parametrize("content", [None, "", "{}", '{"source": 1}', "[" * 100_000])
def test_what_is_no_record_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / BASE_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"base\.json: does not say what model this is"):
        read_record(tmp_path)


def test_a_stored_model_names_what_it_was_made_from(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"base": {"key": "a" * 64, "weights": "b" * 64}}))
    found = reference_of(tmp_path)
    assert found is not None
    assert (found.key, found.weights_sha256) == ("a" * 64, "b" * 64)
    path.write_text(json.dumps({"config": {}}))
    assert reference_of(tmp_path) is None


@pytest.mark.parametrize(
    "content",
    [
        *(None, "", "[]", '{"base": "a"}', '{"base": {"key": "a"}}'),
        json.dumps({"base": {"key": "../../elsewhere", "weights": "b" * 64}}),
    ],
)
def test_one_that_does_not_say_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "model.json").write_text(content)
    with pytest.raises(IntegrityError, match=r"model\.json: does not say which model"):
        reference_of(tmp_path)
