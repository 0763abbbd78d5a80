"""Where a model says how it wants to be talked to, and what happens where it says it badly."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
from pretrained_models import END_TOKEN, write_gguf_file, write_library_folder

from lmcore.chat_template import ChatTemplate
from lmcore.content_store import ContentStore
from lmcore.data.tokens.borrowing import borrow_tokenizer
from lmcore.data.tokens.conversation import Conversations
from lmcore.errors import SourceError
from lmcore.model.config import PretrainedConfig
from lmcore.model.pretrained.base import Base
from lmcore.model.pretrained.importing import import_base

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}"


def imported(tmp_path: Path, place: Path) -> Base:
    store = ContentStore(tmp_path / "store")
    return import_base(store, PretrainedConfig(pretrained=str(place)))


def folder(tmp_path: Path, **told: Any) -> Path:
    made = write_library_folder(tmp_path / "model")
    path = made / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **told}))
    return made


def test_most_models_have_none(tmp_path: Path) -> None:
    assert imported(tmp_path, folder(tmp_path)).record().chat is None


@pytest.mark.parametrize(
    "told",
    [TEMPLATE, [{"name": "tool_use", "template": "x"}, {"name": "default", "template": TEMPLATE}]],
)
def test_it_stands_among_the_settings_of_the_tokenizer(tmp_path: Path, told: Any) -> None:
    bos = {"content": END_TOKEN, "special": True}
    record = imported(tmp_path, folder(tmp_path, chat_template=told, bos_token=bos)).record()
    assert record.chat == ChatTemplate(
        template=TEMPLATE, bos_token=END_TOKEN, eos_token=END_TOKEN, ends=(END_TOKEN,)
    )


def test_a_file_of_its_own_goes_before(tmp_path: Path) -> None:
    made = folder(tmp_path, chat_template="{{ raise_exception('not this one') }}")
    (made / "chat_template.jinja").write_text(TEMPLATE)
    (made / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 1, -4, "x"]}))
    chat = imported(tmp_path, made).record().chat
    assert chat is not None
    assert chat.template == TEMPLATE
    assert chat.ends == (END_TOKEN, "!")


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="half of a character"):
        imported(tmp_path, folder(tmp_path, chat_template="\ud800"))


def test_a_gguf_file_holds_one(tmp_path: Path) -> None:
    made = write_gguf_file(tmp_path / "small.gguf", chat=TEMPLATE)
    assert imported(tmp_path, made).record().chat == ChatTemplate(
        template=TEMPLATE, bos_token=END_TOKEN, eos_token=END_TOKEN, ends=(END_TOKEN,)
    )


def test_the_tokenizer_of_a_run_keeps_it(tmp_path: Path) -> None:
    base = imported(tmp_path, folder(tmp_path, chat_template=TEMPLATE))
    kept = borrow_tokenizer(ContentStore(tmp_path / "store"), base.path, base.key).load()
    found = Conversations.of(kept)
    assert found is not None
    assert found.template == base.record().chat


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"{% for", "cannot be used"),
        (b"\xff", "not UTF-8"),
        (b"x" * 300_000, "has at most 65,536"),
        ("€".encode() * 100_000, "300,000 bytes; a chat template has at most"),
        (b"{{ ''.__class__.__mro__ | list | string + 1 }}", "unsafe"),
    ],
)
def test_one_that_cannot_be_used_is_one_sentence(tmp_path: Path, source: bytes, said: str) -> None:
    made = folder(tmp_path)
    (made / "chat_template.jinja").write_bytes(source)
    with pytest.raises(SourceError, match=said) as refused:
        imported(tmp_path, made)
    assert "chat_template.jinja" in str(refused.value)
    assert not list((tmp_path / "store").glob("pretrained/[0-9a-f]*"))
