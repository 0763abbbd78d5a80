"""The token that starts and ends documents, as somebody said it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("transformers")
import tokenizers
from pretrained_models import END_TOKEN, library_tokenizer

from lmcore.errors import SourceError
from lmcore.model.config import PretrainedConfig
from lmcore.model.pretrained.places import Place
from lmcore.model.pretrained.tokenizer_file import end_token, folder_tokenizer

CUT = library_tokenizer()
CHAT = library_tokenizer()
CHAT.add_special_tokens(["<|im_end|>"])


def place(folder: Path, **settings: Any) -> Place:
    files = {}
    if settings:
        path = files["tokenizer_config.json"] = folder / "tokenizer_config.json"
        path.write_text(json.dumps(settings))
    return Place(source="a", kind="folder", folder=folder, files=files, title="a")


def ended(where: Place, cut: tokenizers.Tokenizer = CUT, *, own: Any = None, **given: Any) -> str:
    config = PretrainedConfig(pretrained="a", **given)
    name, index = end_token(config, where, SimpleNamespace(eos_token_id=own), cut)
    assert cut.token_to_id(name) == index
    return name


def without_end() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"</s>": 0, "a": 1, "b": 2}))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return made


def test_the_end_of_a_text_before_that_of_a_turn(tmp_path: Path) -> None:
    assert ended(place(tmp_path, eos_token="<|im_end|>"), CHAT) == END_TOKEN
    assert ended(place(tmp_path, eos_token="<|im_end|>"), CHAT, end_token="<|im_end|>") != END_TOKEN


def test_else_what_the_tokenizer_says_else_what_the_model_says(tmp_path: Path) -> None:
    cut = without_end()  # a plain word is no end of text, whatever it looks like
    assert ended(place(tmp_path, eos_token="a"), cut, own=2) == "a"
    assert ended(place(tmp_path, eos_token={"content": "b"}), cut) == "b"
    assert ended(place(tmp_path, eos_token=["a"]), cut, own=2) == "b"
    assert ended(place(tmp_path), cut, own=[2, 1]) == "b"


@pytest.mark.parametrize("own", [None, 7, [], ["a"], -1])
def test_nobody_says_it(tmp_path: Path, own: Any) -> None:
    with pytest.raises(SourceError, match=r"name one as model\.end_token"):
        ended(place(tmp_path, eos_token="none"), without_end(), own=own)


def test_a_configured_one_must_be_a_token(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"model\.end_token='<none>': the tokenizer has no such"):
        ended(place(tmp_path), end_token="<none>")


def test_a_tokenizer_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no tokenizer\.json"):
        folder_tokenizer(place(tmp_path))
    path = tmp_path / "tokenizer.json"
    where = Place(source="a", kind="folder", folder=tmp_path, files={path.name: path}, title="a")
    for content in (b"", b"{}", b"\xff", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(SourceError, match=r"tokenizer\.json: not a tokenizer"):
            folder_tokenizer(where)
