"""A model as a GGUF file says what it says itself, where the library reads that file."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest

pytest.importorskip("transformers")
import tokenizers
import torch
from language_models import language_model, random_tokens
from pretrained_models import END_TOKEN, library_tokenizer

from lmcore.errors import UserError
from lmcore.model.exporting import export_file
from lmcore.model.pretrained.library import library


@pytest.mark.parametrize("adapt", ["lora", "full"])
def test_the_file_says_what_the_model_says(tmp_path: Path, adapt: str) -> None:
    model, cut = language_model("llama", adapt=adapt, end_id=0), library_tokenizer()
    export_file(model, cut, tmp_path)
    tokens = random_tokens(model, (1, 12), seed=3, ends=0.0)
    tokens[0, 0] = model.end_id
    with library() as transformers, contextlib.redirect_stderr(io.StringIO()):
        whole = transformers.AutoModelForCausalLM.from_pretrained(
            tmp_path, gguf_file="model.gguf", dtype=torch.float32
        ).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path, gguf_file="model.gguf")
    with torch.inference_mode():
        expected, _ = model(tokens)
        found = whole(tokens).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    text = "The year 1801 was one of peace; caf\u00e9, \u6771\u4eac."
    assert tokenizer(text, add_special_tokens=False).input_ids == cut.encode(text).ids
    assert tokenizer.eos_token == END_TOKEN


def test_what_has_no_form_there_is_refused(tmp_path: Path) -> None:
    cut = library_tokenizer()
    for kind, told in (("mamba", "MambaForCausalLM is not written"), ("scratch", "does not know")):
        with pytest.raises(UserError, match=told):
            export_file(language_model(kind, end_id=0), cut, tmp_path)
    record = json.loads(cut.to_str())
    for changes, told in (
        ({"pre_tokenizer": {"type": "Whitespace"}}, "Whitespace"),
        ({"normalizer": {"type": "NFC"}}, "leaves text as it is"),
    ):
        other = tokenizers.Tokenizer.from_str(json.dumps({**record, **changes}))
        with pytest.raises(UserError, match=told):
            export_file(language_model("llama", end_id=0), other, tmp_path)
