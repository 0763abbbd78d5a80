"""The tokenizer of an exported version; models are in model/*/test_exporting.py."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("transformers")
from language_models import tokenizer_of

from lmcore.version_export import _write_tokenizer

TEXT = "Fellow citizens: the year 1801 was one of peace.\n\nA caf\u00e9, \u6771\u4eac!"


def test_a_borrowed_tokenizer_stays_what_it_was(tmp_path: Path) -> None:
    import transformers

    tokenizer = tokenizer_of("llama")
    saved, out = tmp_path / "tokenizer", tmp_path / "out"
    saved.mkdir()
    out.mkdir()
    tokenizer.save(saved)
    _write_tokenizer(tokenizer, saved, out)
    found = transformers.AutoTokenizer.from_pretrained(out)
    assert found(TEXT).input_ids == tokenizer.encode(TEXT)
    assert found.eos_token_id == tokenizer.end_id
