"""A look before a run says which model it would start from, or why it cannot."""

from pathlib import Path
from typing import Any

import pytest
from sentences import sentences

pytest.importorskip("transformers")
from pretrained_models import write_library_folder

from flows.commands.shared.start import look_at_start
from lmcore.config import parse_config


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "texts.txt").write_text("\n\n".join(sentences(40)))
    write_library_folder(tmp_path / "small")
    (tmp_path / "small" / "README.md").write_text("---\nlicense: mit\n---\n")
    path = tmp_path / "c.yaml"
    path.write_text(
        "name: m\nsources: [{path: texts.txt, license: CC0-1.0}]\n"
        "model: {pretrained: small, known_until: 2024-12-31}\n"
    )
    return path


def test_the_model_is_shown_and_nothing_is_kept(empty_shell: Any, config: Path) -> None:
    answer = empty_shell.answer("run", "--config", "c.yaml", "--dry-run")
    start = answer["start"]
    assert (start["name"], start["architecture"]) == ("small", "LlamaForCausalLM")
    assert (start["license"], start["known_until"]) == ("MIT", "2024-12-31")
    assert (start["context"], start["most_tokens"], start["adapt"]) == (64, 64, "lora")
    assert answer["stops"] == []
    assert list(empty_shell.home.content.iterdir()) == []
    lines = empty_shell.lines("run", "--config", "c.yaml", "--dry-run")
    assert "  licence MIT, knows the world until 2024-12-31" in lines
    assert "  reads 64 tokens together of at most 64, ends documents with '<|endoftext|>'" in lines


def test_why_it_cannot_be_is_among_what_would_stop_a_run(empty_shell: Any, config: Path) -> None:
    (config.parent / "small" / "tokenizer.json").unlink()
    answer = empty_shell.answer("run", "--config", "c.yaml", "--dry-run", code=2)
    (stop,) = answer["stops"]
    assert "no tokenizer.json" in stop
    assert list(answer["start"]) == ["place"]
    lines = empty_shell.lines("run", "--config", "c.yaml", "--dry-run", code=2)
    assert "A run would stop here:" in lines


def test_random_weights_are_nothing_to_look_at() -> None:
    config = parse_config({"name": "m", "sources": [{"path": "texts"}]}, where="test")
    assert look_at_start(config) == (None, [])
