"""What is known of a model that is gone on from is read whole or refused."""

from pathlib import Path

import pytest

from lmcore.errors import IntegrityError
from lmcore.model.pretrained.base import BASE_FILE, BaseRecord, read_record

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
